"""The client: the cases of the Autobahn TestSuite, as `kosoku` drives them.

    fuzz.py URL JOBS GLOB...

Asks the server at URL the cases of which the number is like one of the GLOBs, JOBS at a time, each at the path
that is its number. Prints a line of JSON for each: the verdict, and how the connection ended."""

import asyncio
import fnmatch
import hashlib
import json
import os
import sys

from kosoku import FailureError, run_fuzzingclient
from kosoku.cases import CASES


async def ask(url, case):
    try:
        results = await run_fuzzingclient(f"{url}/{case}", [case])
    except FailureError as failure:
        results = failure.results
    return results[0]


def told(result):
    return {
        "case": result.case_id,
        "verdict": result.behavior.value,
        "verdict why": result.result,
        "verdict on the end": result.behavior_close.value,
        "verdict on the end why": result.result_close,
        # Of megabytes; what matters is whether they are the same.
        "events": hashlib.sha256(repr(result.received).encode()).hexdigest(),
        "clean": result.was_clean,
        "not clean why": result.was_not_clean_reason,
        "received code": result.remote_close_code,
        "received reason": result.remote_close_reason,
        "sent code": result.local_close_code,
        "sent reason": result.local_close_reason,
        "closed first": result.closed_by_me,
        "dropped first": result.dropped_by_me,
        "found a violation": result.failed_by_me,
        "waited in vain for the handshake": result.was_open_handshake_timeout,
        "waited in vain for a Close": result.was_close_handshake_timeout,
        "waited in vain for the end": result.was_server_connection_drop_timeout,
    }


async def main(url, jobs, globs):
    cases = [case for case in CASES if any(fnmatch.fnmatchcase(case, glob) for glob in globs)]
    places = asyncio.Semaphore(jobs)

    async def run(case):
        async with places:
            result = await ask(url, case)
        print(json.dumps(told(result)), flush=True)

    await asyncio.gather(*map(run, cases))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
# All is told. Threads of kosoku's may outlive the interpreter, which then aborts.
os._exit(0)
