"""Objects whose first try failed in passing: each is asked for again by itself, meanwhile.

Its batch does not wait for it: one silent object would hold up sixty-three others. It waits and is
tried in a thread of its own, which costs little while it waits, and ends with the process: nobody
waits for it there. Where each thread has a client of its own (FTP, SFTP, Hugging Face) two threads
make the requests for all of them. Each try is one of the process's retries, and is waited for where
none is left: a store that was away is read when it is back. While its store answers others
(`store_health`) it waits less, and gives up a silence sooner.

Only faults that look passing are tried again: time-outs, connections that are refused or break,
HTTP 408, 425, 429 and 5xx, credentials that could not be had, and bytes that lack the listed
checksum while the store has the listed version. Content that is not what was listed is `changed`.
"""

import concurrent.futures
import dataclasses
import functools
import time
from collections.abc import Sequence

from imgcls_beam.elements import ImageRef
from imgcls_beam.reading.ranges import Asking
from imgcls_beam.reading.shared_reads import Begun, LateRead, Result
from imgcls_beam.reading.store_health import STORE_HEALTH
from imgcls_beam.reading.try_objects import is_passing, try_objects
from imgcls_beam.stores import RETRIES, StoreKey, iterate_waits
from imgcls_beam.time_limits import ask_aside


def begin_objects(refs: Sequence[ImageRef], asking: Asking) -> list[Begun]:
    """Tries all objects once; those whose fault looks passing are tried again from now on."""
    asking = dataclasses.replace(asking, given_up=set())
    results = try_objects(refs, asking)
    RETRIES.give_back(sum(not is_passing(each) for each in results))
    return [_begin_again(each, asking) if is_passing(each) else each for each in results]


def _begin_again(failure: Result, asking: Asking) -> LateRead:
    answer = ask_aside(functools.partial(_try_again, failure, asking), "imgcls-read-again")
    return LateRead(failure.ref, answer)


def _try_again(failure: Result, asking: Asking) -> Result:
    options, result = asking.options, failure
    is_prompt = functools.partial(STORE_HEALTH.is_prompt, failure.ref.object_uri)
    waits = iterate_waits(options.tries, options.first_wait_s, options.retry_s, is_prompt)
    retry_until_s = time.monotonic() + options.retry_s
    for tries, wait_s in enumerate(waits, start=2):
        asking.sleep(wait_s)
        is_free = tries == 2 and failure.ref.object_uri in asking.given_up
        left_s = retry_until_s - time.monotonic()
        if not is_free and not RETRIES.take_in_time(left_s, asking.sleep):
            break
        result = _try(failure.ref, dataclasses.replace(asking, tries=tries))
        if not is_passing(result):
            RETRIES.give_back(1)
            break
    asking.conclude(result)
    return result


def _try(ref: ImageRef, asking: Asking) -> Result:
    if StoreKey.of(ref.object_uri).is_asynchronous:
        return try_objects([ref], asking)[0]
    return _pool().submit(try_objects, [ref], asking).result()[0]


@functools.cache
def _pool() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="imgcls-read-late")
