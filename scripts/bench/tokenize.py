"""Times attune's tokenizers beside Hugging Face's tokenizers (Rust): the same texts, one core each, in alternating processes of
one sitting. Prints a Markdown file; docs/benchmarks/README.md says how to read it.

usage: python scripts/bench/tokenize.py --shared ../shared > docs/benchmarks/tokenize-NAME.md
       (a Python with scripts/requirements.txt, and go)

The other side is ../shared/peer/tokenize_hf.py as it stands, with its clock set to seconds of CPU, which other work on the
machine disturbs less than it does the clock on the wall; attune's are seconds of CPU too.
"""
import sys
sys.path.pop(0)  # this script has the name of a module of Python's
import argparse, datetime, json, os, pathlib, platform, subprocess, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--shared", required=True, type=pathlib.Path, help="has tokenizers/, peer/ and data/alpaca.jsonl")
ap.add_argument("--also", type=pathlib.Path, nargs="*", default=[], help="further folders with a tokenizer.json")
ap.add_argument("--rounds", type=int, default=3, help="processes of each side, alternating (default %(default)s)")
ap.add_argument("--repeats", type=int, default=5, help="passes of a process behind its first (default %(default)s)")
ap.add_argument("--rows", type=int, default=0, help="of the data; 0: all")
a = ap.parse_args()

# The peer with another clock: what it calls perf_counter is process_time, which counts all threads.
PEER = "import runpy, sys, time; time.perf_counter = time.process_time; sys.argv = sys.argv[1:]; sys.path.insert(0, sys.argv[0].rpartition('/')[0]); runpy.run_path(sys.argv[0], run_name='__main__')"


def machine():
    with open("/proc/cpuinfo") as f:
        model = next(line.split(":")[1].strip() for line in f if line.startswith("model name"))
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def hugging_face(folder, data):
    argv = [sys.executable, "-c", PEER, str(a.shared / "peer/tokenize_hf.py"), "--model", str(folder), "--data", str(data), "--what", "content",
            "--threads", "1", "--child", "1", "--rows", str(a.rows), "--repeats", str(a.repeats)]
    env = dict(os.environ, RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", PYTHONWARNINGS="ignore")
    return json.loads(subprocess.run(argv, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout)


def texts(data):
    """The texts of the peer's --what content, a JSON string a line."""
    sys.path.insert(0, str(a.shared / "peer"))
    import peer_common
    rows = peer_common.load_rows(data)
    rows = rows[:a.rows] if a.rows else rows
    return "".join(json.dumps(m["content"], ensure_ascii=False) + "\n" for r in rows for m in peer_common.to_messages(r))


def main():
    data = a.shared / "data/alpaca.jsonl"
    folders = sorted(p.parent for p in (a.shared / "tokenizers").glob("*/tokenizer.json")) + a.also
    lines = texts(data)
    with tempfile.TemporaryDirectory() as tmp:
        program = f"{tmp}/tokenize"
        subprocess.run(["go", "build", "-o", program, "./scripts/bench/tokenize"], cwd=ROOT, check=True)
        attune = lambda *args: json.loads(subprocess.run([program, *args], input=lines, check=True, stdout=subprocess.PIPE, text=True).stdout)
        load = [os.getloadavg()[0]]
        print(f"# Tokenizing on one core\n\n{machine()}\n")
        rows, library = [], ""
        for folder in folders:
            ours, theirs = [], []
            for _ in range(a.rounds):
                ours.append(attune("-tokenizer", str(folder), "-repeats", str(a.repeats)))
                theirs.append(hugging_face(folder, data))
                load.append(os.getloadavg()[0])
            if ours[0]["tokens"] != theirs[0]["tokens"]:
                sys.exit(f"{folder}: {ours[0]['tokens']} tokens, Hugging Face has {theirs[0]['tokens']}")
            library = theirs[0]["tokenizers"]
            warm, cold = max(o["megabytes_per_second"][-1] for o in ours), max(o["cold_megabytes_per_second"] for o in ours)
            batch, single = max(t["batch_megabytes_per_second"] for t in theirs), max(t["one_by_one_megabytes_per_second"] for t in theirs)
            first = max(t["cold_megabytes_per_second"] for t in theirs)
            rows.append(f"| {folder.name} | {ours[0]['tokens']} | **{warm:.1f}** | {batch:.2f} | **{warm / max(batch, single):.1f} x** | {cold:.1f} | {first:.2f} | {cold / first:.1f} x |"
                        f" {min(o['seconds_to_load'] for o in ours):.2f} | {min(t['seconds_to_load'] for t in theirs):.2f} |")
            print(rows[-1], file=sys.stderr)
        go = subprocess.run(["go", "version"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[2]
        print(f"{datetime.date.today()}, {go}, tokenizers {library}; {ours[0]['megabytes']:.2f} MB in {lines.count(chr(10))} texts; best of {a.rounds} alternating processes of {a.repeats} passes;"
              f"\nload average of the machine meanwhile {min(load):.1f} to {max(load):.1f}\n")
        print("| tokenizer | tokens | attune, MB/s | Hugging Face, MB/s | attune is | attune, first pass | Hugging Face, first pass | attune is | attune, s to load | Hugging Face, s to load |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        print("\n".join(rows))
        print("\n## Texts that double\n\nSeconds of attune for 1, 2 and 4 MiB of one kind of text; linear is 2 x and 2 x.\n")
        print("| tokenizer | text | 1 MiB | 2 MiB | 4 MiB | |\n|---|---|---|---|---|---|")
        for folder in folders:
            for kind, (one, two, four) in sorted(attune("-tokenizer", str(folder), "-doubling").items()):
                print(f"| {folder.name} | {kind} | {one:.3f} | {two:.3f} | {four:.3f} | {two / one:.1f} x, {four / two:.1f} x |")


main()
