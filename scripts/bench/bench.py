"""Times attune beside PyTorch + PEFT: the same LoRA over the same rows, from the same adapter, at the same dtype and threads, in
alternating runs of one sitting. Prints a Markdown table; docs/benchmarks/README.md says how to read it.

usage: python scripts/bench/bench.py --attune bin/attune --shared ../shared --model .cache/smollm2 --out DIR
       (a Python with scripts/requirements.txt; nothing else may run on the machine; with the defaults about half an hour on two cores)
"""
import argparse, datetime, json, os, pathlib, platform, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
PEERS = {       # what ../shared/peer/README.md calls its strongest settings, padded and packed
    "PEFT, sorted": {"float32": ["--pack", "sorted"], "bfloat16": ["--pack", "sorted", "--attn", "eager"]},
    "PEFT, packed": {"float32": ["--pack", "packed"], "bfloat16": ["--pack", "packed"]},
}

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--attune", required=True, help="the program")
ap.add_argument("--shared", required=True, type=pathlib.Path, help="has peer/ and data/alpaca.jsonl")
ap.add_argument("--model", required=True, help="Hugging Face directory")
ap.add_argument("--out", required=True, type=pathlib.Path, help="every run's output is kept here; must not exist")
ap.add_argument("--rounds", type=int, default=3, help="runs of each side, alternating (default %(default)s)")
ap.add_argument("--steps", type=int, default=4, help="measured steps of a run (default %(default)s)")
ap.add_argument("--warmup", type=int, default=1, help="steps before them, trained but not measured (default %(default)s)")
ap.add_argument("--examples", type=int, default=32, help="rows of a step (default %(default)s)")
ap.add_argument("--max-length", type=int, default=512, help="tokens of a row (default %(default)s)")
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--dtypes", default="float32,bfloat16")
a = ap.parse_args()


def machine_cpu():
    """Seconds of CPU that the whole machine has spent."""
    v = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(v) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")


def json_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def timed(name, argv, steps_file):
    """Runs argv to its end. Wall-clock seconds until its first step is written to steps_file, ru_maxrss and the cores that
    other work kept busy meanwhile are taken from outside, the same way for both sides."""
    with open(a.out / f"{name}.out", "wb") as out, open(a.out / f"{name}.err", "wb") as err:
        busy, begin, first = machine_cpu(), time.monotonic(), None
        child = subprocess.Popen(argv, stdout=out, stderr=err, env=dict(os.environ, HF_HUB_OFFLINE="1"))
        pid = 0
        while not pid and first is None:
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
            if steps_file.exists() and b"\n" in steps_file.read_bytes():
                first = time.monotonic() - begin
            time.sleep(0.005)
        if not pid:
            pid, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(map(str, argv))}: exit code {child.returncode}\n{(a.out / f'{name}.err').read_text()[-2000:]}")
    steps = [s for s in json_lines(steps_file) if "loss" in s]
    measured = steps[a.warmup:]
    return {"losses": [s["loss"] for s in steps], "tokens": [(s["tokens"], s["trained_tokens"]) for s in steps],
            "tokens_per_second": sum(s["tokens"] for s in measured) / sum(s["seconds"] for s in measured),
            "to_training": first - steps[0]["seconds"], "to_first_step": first, "peak_mib": used.ru_maxrss / 1024,
            "others": max(0.0, (machine_cpu() - busy - used.ru_utime - used.ru_stime) / wall)}


def run_attune(name, dtype):
    run = a.out / name
    sets = {"model": a.model, "data.train": a.out / "rows.jsonl", "data.max_length": a.max_length, "data.overlength": "truncate", "data.max_cut_share": 1, "data.shuffle": "false",
            "lora.r": 16, "lora.alpha": 32, "lora.init_from": a.out / "init", "train.steps": a.warmup + a.steps, "train.examples_per_step": a.examples,
            "train.learning_rate": 2e-4, "train.lr_scheduler": "constant", "compute.device": "cpu", "compute.dtype": dtype, "compute.threads": a.threads, "run_dir": run}
    return timed(name, [a.attune, "train"] + [x for k, v in sets.items() for x in ("--set", f"{k}={v}")], run / "metrics.jsonl")


def run_peer(name, dtype, flags):
    argv = [sys.executable, a.shared / "peer/peft_sft.py", "--model", a.model, "--data", a.out / "rows.jsonl", "--dtype", dtype, "--threads", a.threads,
            "--adapter", a.out / "init", "--max-length", a.max_length, "--examples-per-step", a.examples, "--warmup", a.warmup, "--steps", a.steps] + flags
    return timed(name, [str(x) for x in argv], a.out / f"{name}.out")


def one_round(k):
    for dtype in a.dtypes.split(","):
        sides = {"attune": lambda name: run_attune(name, dtype)}
        for peer, flags in PEERS.items():
            sides[peer] = lambda name, flags=flags: run_peer(name, dtype, flags[dtype])
        for side, run in sides.items():
            name = f"{side.replace(', ', '-')}-{dtype}.{k}"
            r = run(name)
            print(f"{name}: {r['tokens_per_second']:.1f} tokens/s, {r['to_first_step']:.1f} s to the first step, {r['peak_mib']:.0f} MiB", file=sys.stderr, flush=True)
            yield (dtype, side), r


def machine():
    def field(path, key):
        pairs = (line.split(":", 1) for line in pathlib.Path(path).read_text().splitlines() if ":" in line)
        return next((value.strip() for name, value in pairs if name.strip() == key), "?")
    memory = int(field("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    flags = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in field("/proc/cpuinfo", "flags").split()]
    cpu = f"{field('/proc/cpuinfo', 'model name')} (family {field('/proc/cpuinfo', 'cpu family')}, model {field('/proc/cpuinfo', 'model')})"
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, {' '.join(flags)}, {platform.system()} {platform.release()}"


def report(results):
    print(f"{machine()}\n")
    print(f"{datetime.date.today()}, {subprocess.run([a.attune, 'version'], capture_output=True, text=True).stdout.strip().splitlines()[0]}, "
          + ", ".join(f"{p} {v}" for p, v in versions().items()))
    print(f"{a.threads} threads, {a.examples} rows a step, at most {a.max_length} tokens each, {a.warmup} warm-up + {a.steps} measured steps, "
          f"{sum(n for n, _ in next(iter(results.values()))[0]['tokens'][a.warmup:])} tokens measured, {a.rounds} rounds\n")
    print("| dtype | run | tokens/s, best | every run | attune is | s to training, best | s to first step's end, best | peak RSS MiB, highest | attune's is | others' cores, most |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for (dtype, side), runs in results.items():
        ours, speed, peak = results[dtype, "attune"], max(r["tokens_per_second"] for r in runs), max(r["peak_mib"] for r in runs)
        faster = f"{max(r['tokens_per_second'] for r in ours) / speed:.2f} x" if side != "attune" else ""
        leaner = f"{max(r['peak_mib'] for r in ours) / peak:.2f} x" if side != "attune" else ""
        print(f"| {dtype} | {side} | **{speed:.0f}** | {' '.join('%.0f' % r['tokens_per_second'] for r in runs)} | {faster} | {min(r['to_training'] for r in runs):.2f} | "
              f"{min(r['to_first_step'] for r in runs):.2f} | {peak:.0f} | {leaner} | {max(r['others'] for r in runs):.2f} |")
    print()
    for (dtype, side), runs in results.items():
        print(f"losses, {dtype}, {side}: {' '.join('%.4f' % x for x in runs[0]['losses'])}")


def versions():
    from importlib.metadata import version
    return {p: version(p) for p in ("torch", "transformers", "peft")}


def compare(results):
    """The two sides did the same work: the same tokens, and in float32 the same losses to four digits."""
    for (dtype, side), runs in results.items():
        ours = results[dtype, "attune"][0]
        for r in runs:
            if r["tokens"] != ours["tokens"]:
                sys.exit(f"{dtype}, {side}: tokens and trained tokens of the steps are {r['tokens']}, attune's {ours['tokens']}")
            off = max(abs(x / y - 1) for x, y in zip(r["losses"], ours["losses"]))
            if dtype == "float32" and off > 1e-4:
                sys.exit(f"{dtype}, {side}: losses {r['losses']}, attune's {ours['losses']}")


a.out.mkdir(parents=True)
rows = (a.shared / "data/alpaca.jsonl").read_text().splitlines()[:(a.warmup + a.steps) * a.examples]
(a.out / "rows.jsonl").write_text("\n".join(rows) + "\n")
subprocess.run([sys.executable, HERE.parent / "peft_new_adapter.py", a.model, a.out / "init"], check=True, stderr=subprocess.DEVNULL)
results = {}
for k in range(1, a.rounds + 1):
    for key, r in one_round(k):
        results.setdefault(key, []).append(r)
compare(results)
report(results)
