"""python-tuf's client over HTTP, for one refresh and some downloads.

Arguments: the client's own folder, the first root, the address of the tree, the folder for what it downloads, and the
targets. Prints one JSON line for each target: its path, and where it was put or null where the signed state has none.
An error of the client ends it with its name on stderr.
"""

import json
import os
import sys

from tuf.ngclient import Updater

kept, root, base, into, *targets = sys.argv[1:]
os.makedirs(kept, exist_ok=True)
os.makedirs(into, exist_ok=True)
with open(root, "rb") as file:
    bootstrap = file.read()
updater = Updater(kept, f"{base}/tuf/", into, f"{base}/", bootstrap=bootstrap)
updater.refresh()
for target in targets:
    info = updater.get_targetinfo(target)
    print(json.dumps({"target": target, "path": info and updater.download_target(info)}))
