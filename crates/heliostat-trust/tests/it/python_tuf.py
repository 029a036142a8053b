"""python-tuf's client, driven by a test: a line of JSON in, a line of JSON out, until stdin ends.

A request names the folder that is served on loopback, the client's own folder, the first root, the time it is, and
the targets to look up. The answer is what the client says of each target, or the name of the error it raised.
"""

import datetime
import functools
import http.server
import json
import sys
import threading

from tuf.ngclient import Updater


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass


def answer(request):
    handler = functools.partial(Quiet, directory=request["served"])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            return ask(request, f"http://127.0.0.1:{server.server_port}/")
        finally:
            server.shutdown()


def ask(request, base):
    with open(request["root"], "rb") as root:
        bootstrap = root.read()
    updater = Updater(request["kept"], base, bootstrap=bootstrap)
    now = datetime.datetime.fromisoformat(request["now"])
    updater._trusted_set.reference_time = now
    updater.refresh()
    found = {}
    for path in request["targets"]:
        info = updater.get_targetinfo(path)
        found[path] = info and {"length": info.length, "sha256": info.hashes["sha256"]}
    return {"found": found}


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as error:
        reply = {"refused": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
