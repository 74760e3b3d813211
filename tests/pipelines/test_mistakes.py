"""The likeliest mistakes: each is one sentence that names the thing and says what to do."""

import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest

from pipelines.__main__ import main
from tests.scenes import write_photos

MISTAKES: list[tuple[str, str, str]] = [
    # command line; what the sentence names; what it says to do
    ("clasify", "'clasify'", "did you mean classify?"),
    ("classify --output=out", "input=()", "give at least one file, folder or pattern"),
    ("classify --input=photos", "output", "give --output=DIR"),
    ("classify --input=photos --output=", "output=''", "give a text that is not empty"),
    ("classify --input=gone --output=out", "input='gone'", "no such file or folder"),
    ("classify --input=photos --output=out --model=photos", "model='photos'", "save_pretrained"),
    ("classify photos --output=out", "argument='photos'", "images are --input="),
    ("classify --input a.jpg b.jpg --output=out", "argument='b.jpg'", "a pattern in quotes"),
    ("classify --input=photos --output=out --input", "flag='--input'", "expected one argument"),
    ("classify --input=photos --output=a --output=b", "output=('a', 'b')", "give it once"),
    ("classify {job} --topk=3", "flag='--topk'", "did you mean --top_k?"),
    ("classify {job} --ouptut_jsonl=x", "flag='--ouptut_jsonl'", "did you mean --output_jsonl?"),
    ("classify {job} --top_k=0", "top_k=0", "allowed: 1 or more, or all"),
    ("classify {job} --top_k=five", "top_k='five'", "allowed: an integer of 1 or more, or all"),
    ("classify {job} --device=cuda", "device='cuda'", "give --device=cpu, or auto"),
    ("classify {job} --device=gpu", "device='gpu'", "allowed: auto, cpu, cuda"),
    ("classify {job} --dtype=fp16", "dtype='fp16'", "float16"),
    ("classify {job} --engine=tensorrt", "engine='tensorrt'", "allowed: auto, torch, openvino"),
    ("classify {job} --engine=openvino --device=cuda", "engine='openvino'", "give torch"),
    ("classify {job} --weights=bin", "weights='bin'", "allowed: auto, safetensors"),
    ("classify {job} --weights=safetensors --model=old", "weights='safetensors'", "is a pickle"),
    ("doctor --weights=bin", "weights='bin'", "allowed: auto, safetensors"),
    ("classify {job} --function_to_apply=relu", "function_to_apply='relu'", "sigmoid, softmax"),
    ("classify {job} --run_date=tomorrow", "run_date='tomorrow'", "today, yesterday, YYYY-MM-DD"),
    ("classify {job} --run_date=20261122", "run_date='20261122'", "today, yesterday, YYYY-MM-DD"),
    ("classify {job} --run_date=2026-W47-7", "run_date='2026-W47-7'", "yesterday, YYYY-MM-DD"),
    ("classify {job} --run_id=a/b", "run_id='a/b'", "letters, digits, dots"),
    ("classify {job} --if_exists=overwrite", "if_exists='overwrite'", "fail, replace, append"),
    ("classify {job} --only=failed", "only='failed'", "allowed: all, new, errors"),
    ("classify {job} --batch_size=0", "batch_size=0", "an integer of 1 or more"),
    ("classify {job} --batch_size=many", "batch_size='many'", "or auto"),
    ("classify {job} --limit=0", "limit=0", "an integer of 1 or more"),
    ("classify {job} --sample=2", "sample=2.0", "allowed: 0 to 1"),
    ("classify {job} --max_error_ratio=5%", "max_error_ratio='5%'", "a number from 0 to 1"),
    ("classify {job} --threads=-1", "threads=-1", "an integer of 1 or more"),
    ("classify {job} --read_concurrency=0", "read_concurrency=0", "an integer of 1 or more"),
    ("classify {job} --preprocess=quick", "preprocess='quick'", "allowed: exact, fast"),
    ("classify {job} --runner=DirectRuner", "runner='DirectRuner'", "did you mean DirectRunner?"),
    ("classify {job} --runner=DataflowRunner", "input='photos'", "gs://"),
    ("classify {job} --gpu=l4", "gpu='l4'", "--runner=DataflowRunner"),
    ("classify {job} --direct_num_workers=two", "--direct_num_workers", "one of Beam's"),
    ("classify {job} --uri_column=uri", "uri_column='uri'", "--input_manifest"),
    ("classify {job} --output_table=rows", "output_table='rows'", "project.dataset.table"),
    ("classify --input=https://x/a.jpg --output=out", "input='https://x/a.jpg'", "its scheme"),
    (
        "classify --input_manifest=gone.csv --output=out",
        "input_manifest='gone.csv'",
        "no such file",
    ),
    ("retry --output=out", "run_id", "the run to try again"),
    ("sql --output=out --format=xml 'select 1'", "format='xml'", "table, csv, json"),
    ("sql 'select 1'", "output", "give the folder of the rows"),
    ("template", "action", "allowed: show, build, run, metadata"),
    ("template show", "image", "give the image"),
    ("doctor --parityy=3", "flag='--parityy'", "did you mean --parity?"),
]
JOB = "--input=photos --output=out"
HEAVY = ("apache_beam", "torch", "transformers")
"""What takes seconds to import: none of these sentences waits for it."""


@pytest.fixture(autouse=True)
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", 1)
    (tmp_path / "old").mkdir()
    for name in ("config.json", "pytorch_model.bin"):
        (tmp_path / "old" / name).write_bytes(b"")


@pytest.mark.parametrize(("line", "thing", "advice"), MISTAKES, ids=[each[0] for each in MISTAKES])
def test_a_mistake_is_one_sentence(
    line: str,
    thing: str,
    advice: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "--device=cuda" in line:
        from imgcls_beam.classifying import cpu

        monkeypatch.setattr(cpu, "may_have_cuda", lambda: False)
    assert main(shlex.split(line.format(job=JOB))) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith(f"imgcls{'' if line == 'clasify' else ' ' + line.split()[0]}: ")
    assert thing in printed.err
    assert advice in printed.err
    assert len(printed.err) < 300
    assert not pathlib.Path("out").exists()


def test_there_are_forty_and_none_waits_for_what_is_heavy() -> None:
    lines = [shlex.split(line.format(job=JOB)) for line, _, _ in MISTAKES]
    assert len(lines) >= 40
    program = [sys.executable, "-c", _RUN_ALL, json.dumps(lines), *HEAVY]
    settings = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    done = subprocess.run(program, env=settings, capture_output=True, text=True)
    assert done.stdout == "[]", done.stdout + done.stderr


_RUN_ALL = """
import json, sys
from pipelines.__main__ import main
for argv in json.loads(sys.argv[1]):
    main(argv)
sys.stdout.write(str([name for name in sys.argv[2:] if name in sys.modules]))
"""
