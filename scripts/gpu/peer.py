"""The step that `attune bench` times, by PyTorch + PEFT: the reference script peft_sft.py on random weights of a shape and random
tokens, so that no model and no rows are needed. Prints that script's JSON lines. The shape is what `attune bench --config` prints.

usage: python scripts/gpu/peer.py --peer DIR --config FILE [--tokens 4096] [--rows 1] [--steps 10] [--warmup 3] -- ARGS OF peft_sft.py...
"""
import argparse, json, pathlib, random, runpy, sys

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--peer", required=True, type=pathlib.Path, help="directory of peft_sft.py and peer_common.py")
ap.add_argument("--config", required=True, type=pathlib.Path, help="config.json of the shape")
ap.add_argument("--tokens", type=int, default=4096, help="tokens of a row, which is one example")
ap.add_argument("--rows", type=int, default=1, help="rows of an optimizer step")
ap.add_argument("--steps", type=int, default=10)
ap.add_argument("--warmup", type=int, default=3)
ap.add_argument("rest", nargs="*", help="arguments of peft_sft.py, behind --")
a = ap.parse_args()

sys.path.insert(0, str(a.peer))
import torch, transformers
import peer_common

config = transformers.AutoConfig.for_model(**json.loads(a.config.read_text()))


def random_model(_, dtype=None, attn_implementation=None, **__):
    """Weights where they will be used, normal as attune's; peft_sft.py asks for a directory's."""
    device = "cuda" if "--device" in a.rest and a.rest[a.rest.index("--device") + 1] == "cuda" else "cpu"
    with torch.device(device):
        default = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            return transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attn_implementation)
        finally:
            torch.set_default_dtype(default)


class Tokenizer:
    pad_token_id = eos_token_id = 0


def random_rows(_tok, _rows, max_length, count):
    r = random.Random(1)
    return [([r.randrange(config.vocab_size) for _ in range(max_length)], [1] * max_length) for _ in range(count)]


transformers.AutoModelForCausalLM.from_pretrained = random_model
transformers.AutoTokenizer.from_pretrained = lambda *_, **__: Tokenizer()
peer_common.encode_rows, peer_common.load_rows = random_rows, lambda _: []
peer_common.reexec_tuned = lambda _: None       # it would start peft_sft.py itself again
script = a.peer / "peft_sft.py"
sys.argv = [str(script), "--model", str(a.config), "--data", "random", "--max-length", str(a.tokens), "--examples-per-step", str(a.rows),
            "--steps", str(a.steps), "--warmup", str(a.warmup), "--micro-tokens", str(a.tokens), *a.rest]
runpy.run_path(str(script), run_name="__main__")
