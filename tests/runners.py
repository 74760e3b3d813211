"""Local runners that a sink has to give the same result on, as Beam's flags."""

# DirectRunner would first look for Prism on the network; FnApiRunner never does.
IN_MEMORY = ["--runner=FnApiRunner"]
REPEATED = [*IN_MEMORY, "--direct_runner_bundle_repeat=2"]
TWO_PROCESSES = [
    "--runner=DirectRunner",
    "--prism_location=/nonexistent",
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
]
TWO_THREADS = [
    "--runner=DirectRunner",
    "--prism_location=/nonexistent",
    "--direct_running_mode=multi_threading",
    "--direct_num_workers=2",
]
