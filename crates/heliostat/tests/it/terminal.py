"""Runs a program on a terminal of its own and types: each answer when the program asks for something, as soon as the
terminal no longer shows what is typed.

Arguments: the answers, `--`, the program and its arguments. Prints what stood on the terminal and ends with the
program's exit code; 99 where it asked more often than there are answers, or said nothing for too long, 98 where it
asked and what is typed would be shown.
"""

import os
import pty
import select
import sys
import termios
import time

divide = sys.argv.index("--")
answers, command = sys.argv[1:divide], sys.argv[divide + 1 :]
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
seen, asked = b"", 0


def wait_until_hidden():
    for _ in range(1000):
        if not termios.tcgetattr(terminal)[3] & termios.ECHO:
            return
        time.sleep(0.01)
    sys.exit(98)


while True:
    ready, _, _ = select.select([terminal], [], [], 60)
    if not ready:
        sys.exit(99)
    try:
        more = os.read(terminal, 4096)
    except OSError:
        more = b""
    if not more:
        break
    seen += more
    if seen.endswith(b": "):
        if asked == len(answers):
            print(seen.decode(errors="replace"))
            sys.exit(99)
        wait_until_hidden()
        os.write(terminal, answers[asked].encode() + b"\n")
        asked += 1
        seen += b"\n"
print(seen.decode(errors="replace"))
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
