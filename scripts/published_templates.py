"""Holds `attune template render` to transformers over published chat templates: every template of a directory renders every
conversation, and the texts must be equal to the byte. Where the template refuses (raise_exception), its words must be equal;
where transformers has an error of its own, attune must have one. {% generation %} blocks render as what is in them.

usage: python scripts/published_templates.py ATTUNE CASES.jsonl [DIR] [--random N] [--all] [--show N]
  ATTUNE       the binary
  CASES.jsonl  conversations to render beside those below: their distinct (conversation, tools, add_generation_prompt, kwargs)
  DIR          *.jinja, at any depth (default .cache/published/templates); SOURCES.tsv beside or above it names where each is from
  --random N   also N conversations a template with keys and values removed, doubled, exchanged at random (the same ones every time)
Prints a Markdown table (only of templates with disagreements, unless --all) and the counts by source; on stderr the first N
disagreements of each template. Exits with 1 if there are disagreements.
"""
import argparse, collections, copy, csv, datetime, json, pathlib, random, subprocess, sys

import jinja2
import transformers
import transformers.utils.chat_template_utils as chat_template_utils

NOW = "2025-03-14T09:26:53"
BOS, EOS = "<s>", "</s>"


def function(name, **schema):
    return {"type": "function", "function": {"name": name, **schema}}


def call(name, arguments, id="call12345"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(content="What is the capital of France?", **more):
    return {"role": "user", "content": content, **more}


def assistant(content="Paris.", **more):
    return {"role": "assistant", "content": content, **more}


def tool(content, **more):
    return {"role": "tool", "content": content, "name": "search", "tool_call_id": "call12345", **more}


# What templates that print JSON Schema in a language of their own (gpt-oss, Gemma 4, Llama 4) tell apart.
SCHEMA = {
    "type": "object", "required": ["query", "where"], "additionalProperties": False, "$defs": {"a": {"type": "string"}},
    "properties": {
        "query": {"type": "string", "description": "Words to look for.\nTwo lines, \"quoted\", <b>bold</b> & 'single'.", "minLength": 1},
        "n": {"type": "integer", "default": 10, "minimum": 1, "maximum": 100}, "ratio": {"type": ["number", "null"], "default": 0.5, "nullable": True},
        "exact": {"type": "boolean", "default": False}, "kind": {"type": "string", "enum": ["a", "b c", "d"], "default": "a"}, "level": {"enum": [1, 2.5, None, True]},
        "where": {"type": "object", "description": "A place.", "required": ["lat"], "properties": {"lat": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}},
                  "deep": {"type": "object", "properties": {"leaf": {"type": "array", "items": {"type": "object", "properties": {"z": {"type": "integer"}}}}}}}},
        "any": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "number"}}], "description": "Either."}, "one": {"oneOf": [{"type": "string", "default": "o"}, {"type": "null"}]},
        "all": {"allOf": [{"$ref": "#/$defs/a"}]}, "list": {"type": "array"}, "matrix": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "const": {"const": 1}, "bare": {}, "typed_none": {"type": "null"}, "é": {"type": "string", "title": "Ünï", "examples": ["日本"]},
    },
}
TOOLS = [function("search", description="Search.", parameters=SCHEMA, strict=True),
         function("no_parameters", description="Nothing."), function("empty", description="", parameters={"type": "object", "properties": {}}),
         function("returns", description="Has a return.", parameters={"type": "object", "properties": {"x": {"type": "string"}}}, **{"return": {"type": "string", "description": "What comes back."}})]
ARGUMENTS = {"query": "a \"b\" <c> & 'd'\n日本 🙂", "n": 3, "ratio": 0.1, "exact": True, "where": {"lat": -0.0, "tags": ["x", "y"], "deep": {"leaf": [{"z": 1}, {}]}}, "none": None, "empty": {}, "list": [],
             "big": 12345678901234567890, "floats": [1.0, 1e16, 1e-7, 1.5e300, 100000.0, 2.5], "false": False}
PARTS = [{"type": "text", "text": "What is on it? "}, {"type": "image", "image": "a.png"}, {"type": "image_url", "image_url": {"url": "b.png"}}, {"type": "video", "video": "c.mp4"}, {"type": "audio", "audio": "d.wav"}, {"type": "text", "text": " Say."}]
ROUNDS = [user("Search."), assistant("I will look.\n", reasoning_content="It must be looked up.\n", tool_calls=[call("search", ARGUMENTS), call("no_parameters", {}, "call67890")]), tool("found <1>"), tool('{"b": [1, 2.0]}', tool_call_id="call67890"),
          assistant("", reasoning_content="Once more.", tool_calls=[call("search", {"query": "again"})]), tool("nothing"), assistant("There is nothing.", reasoning_content="So be it."), user("Thanks."), assistant("You are welcome.")]

# What the conversations given do not have: (name, conversation, tools, add_generation_prompt, kwargs).
FURTHER = [
    ("rich-schema", [{"role": "system", "content": "Be brief."}, user()], TOOLS, True, {}),
    ("rich-rounds", ROUNDS, TOOLS, False, {}),
    ("rich-rounds-thinking", ROUNDS[:6], TOOLS, True, {"enable_thinking": True, "thinking": True, "preserve_thinking": True, "keep_past_thinking": True, "reasoning_effort": "high"}),
    ("rich-rounds-without-tools", ROUNDS, None, False, {"thinking": False, "enable_thinking": False, "reasoning_effort": "low"}),
    ("flat-tools", [user(), assistant("", tool_calls=[{"name": "search", "arguments": {"query": "x"}}]), tool("y"), assistant("z")], [{"name": "search", "description": "Search.", "parameters": SCHEMA}], True, {}),
    ("no-tools-in-list", [user()], [], True, {}),
    ("tool-content-mapping", [user(), assistant("", tool_calls=[call("search", {"a": 1})]), tool({"found": [1, None, "é"]}), assistant("Done.")], TOOLS[:1], False, {}),
    ("tool-content-parts", [user(), assistant("", tool_calls=[call("search", {"a": 1})]), tool([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])], TOOLS[:1], True, {}),
    ("other-roles", [{"role": "developer", "content": "Speak French."}, user(), {"role": "ipython", "content": "1"}, {"role": "function", "name": "f", "content": "2"}, {"role": "observation", "content": "3"}], None, True, {}),
    ("documents", [user()], None, True, {"documents": [{"title": "A", "text": "One.\nTwo."}, {"title": "B", "text": "“Three”", "doc_id": 7}], "citation_mode": "fast"}),
    ("media", [user(PARTS), assistant([{"type": "text", "text": "A cat."}]), user([{"type": "text", "text": "Sure?"}])], None, True, {"add_vision_id": True}),
    ("no-messages", [], None, True, {}),
    ("no-content", [{"role": "user"}, {"role": "assistant"}], None, False, {}),
    ("null-contents", [{"role": "system", "content": None}, user(None), assistant(None)], None, False, {}),
    ("odd-contents", [user(7), assistant(True), user({"a": 1}), assistant(2.50)], None, False, {}),
    ("no-role", [{"content": "a"}, {"content": "b"}], None, True, {}),
    ("long-turns", [{"role": "system", "content": "a\r\n\tb\n\n\n"}, user(" \u00a0 x\u2028y\u3000 "), assistant("\n\n<think>\none\n</think>\n<think>two</think>\n\n  three </think> four\n"), user("{{ x }}{% y %}{# z #}\\n\\"), assistant("\u200b\u202eabc\U0001f468\u200d\U0001f469\ufeff")] * 3, None, True, {}),
    ("thought-only", [user(), assistant("", reasoning_content="Hm.\n\nHm."), user(), assistant("a", thinking="b"), user(), assistant("c", reasoning="d")], None, True, {"enable_thinking": True}),
    ("variables", [user()], None, True, {"system_message": "S", "date_string": "1 Jan 2020", "builtin_tools": ["browser", "python"], "tools_in_user_message": False, "model_identity": "You are A.", "available_tools": "[]", "custom_tools": TOOLS, "controls": {"length": "short", "originality": None}, "categories": {"S1": "Violence."}, "guidelines": "g", "loop_messages": 1, "chat_template_kwargs": {"a": 1}, "add_default_system_prompt": False, "unk_token": "<unk>", "pad_token": "<pad>"}),
    ("channels", [user(name="Ann"), assistant("c", channel="final", recipient="all", weight=0, prefix=True, metadata={"a": None}), user("x", citations=[], audio=None), assistant("y", refusal=None, function_call={"name": "f", "arguments": "{}"})], None, False, {}),
    ("system-twice", [{"role": "system", "content": "One."}, {"role": "system", "content": "Two."}, user()], None, True, {}),
    ("system-parts", [{"role": "system", "content": [{"type": "text", "text": "One."}]}, user([{"type": "text", "text": "Two."}]), assistant("Three.")], None, False, {}),
]


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromisoformat(NOW)


chat_template_utils.datetime = Clock


def conversations(path):
    seen = {json.dumps(asked): (name, asked) for name, *values in FURTHER for asked in [dict(zip(("conversation", "tools", "add_generation_prompt", "kwargs"), values))]}
    for line in path.read_text().splitlines():
        c = json.loads(line)
        asked = {k: c[k] for k in ("conversation", "tools", "add_generation_prompt", "kwargs")}
        seen.setdefault(json.dumps(asked), (c["case"], asked))
    return list(seen.values())


ODD = [None, "", 0, 1, -1, 2.0, True, False, [], {}, "x", " y\n", "<think>\na</think>b", "</think>", [1, "a"], {"a": 1}, ["text"], [{"type": "text", "text": "t"}], [{"type": "text"}],
       [{"type": "image"}], '{"a": 1}', "日本", "user", "assistant", "tool", "system", [[]], {"role": "user"}, 1e30, 10**20, "a\u2028b\x00c"]
KEYS = ["content", "role", "tool_calls", "name", "type", "properties", "description", "required", "parameters", "enum", "items"]


def places(x, at=()):
    yield at
    for k in x if isinstance(x, dict) else range(len(x)) if isinstance(x, list) else ():
        yield from places(x[k], at + (k,))


def mutated(rng, asked):
    """asked with up to three things about its messages, tools or variables changed."""
    asked = copy.deepcopy(asked)
    for _ in range(rng.randint(1, 3)):
        inside = [at for at in places(asked) if len(at) > 1]
        if not inside:
            break
        at, how = rng.choice(inside), rng.random()
        of = asked
        for k in at[:-1]:
            of = of[k]
        whole = len(at) == 2 and at[0] != "kwargs"  # a message or a tool, which stays an object
        if isinstance(of, list) and how < 0.2:
            of.insert(at[-1], copy.deepcopy(of[at[-1]]))
        elif isinstance(of, list) and how < 0.4 or how < 0.3 and not whole:
            del of[at[-1]]
        elif isinstance(of, dict) and how < 0.5:
            of[rng.choice(KEYS)] = copy.deepcopy(rng.choice(ODD))
        elif not whole:
            of[at[-1]] = copy.deepcopy(rng.choice(ODD))
    documents = asked["kwargs"].get("documents")
    if documents is not None and not (isinstance(documents, list) and all(isinstance(d, dict) for d in documents)):
        del asked["kwargs"]["documents"]  # which transformers refuses before the template sees them
    return asked


def by_transformers(template, asked):
    """("text", text), ("raised", words) or ("error", what)."""
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            conversations=[asked["conversation"]], tools=asked["tools"], chat_template=template,
            add_generation_prompt=asked["add_generation_prompt"], bos_token=BOS, eos_token=EOS, **asked["kwargs"])
        return "text", texts[0]
    except jinja2.exceptions.TemplateError as e:
        # raise_exception raises this very class, Jinja's own complaints are its subclasses
        return ("raised" if type(e) is jinja2.exceptions.TemplateError else "error"), str(e.message)
    except Exception as e:  # of Python, by way of the template
        return "error", f"{type(e).__name__}: {e}"


def by_attune(attune, path, asked):
    lines = [json.dumps({**a, "bos_token": BOS, "eos_token": EOS, "now": NOW}) for a in asked]
    run = subprocess.run([attune, "template", "render", "--template", path, "--jsonl"], input="\n".join(lines), capture_output=True, text=True, encoding="utf-8")
    if run.returncode != 0:  # the template itself is refused
        return [{"error": run.stderr.strip()}] * len(asked)
    return [json.loads(line) for line in run.stdout.split("\n") if line]


def agree(want, got):
    kind, what = want
    if kind == "text":
        return got.get("text") == what
    return got.get("error") == what if kind == "raised" else "error" in got


def sources(folder):
    """File name without its ending -> repository."""
    for at in (folder, *folder.parents):
        if (table := at / "SOURCES.tsv").exists():
            with table.open() as f:
                return {(at / row["file"]): row["repo"] for row in csv.DictReader(f, delimiter="\t")}
    return {}


def shorten(text, at, width=160):
    return repr(text[max(0, at - width // 2):at + width])


def describe(case, want, got):
    text = got.get("text")
    if want[0] == "text" and text is not None:
        at = next((i for i, (a, b) in enumerate(zip(want[1], text)) if a != b), min(len(want[1]), len(text)))
        return f"    {case}, character {at}\n      transformers {shorten(want[1], at)}\n      attune       {shorten(text, at)}"
    show = shorten(text, 0) if text is not None else "error: " + got["error"][:300]
    return f"    {case}\n      transformers {want[0]}: {want[1][:300]!r}\n      attune       {show}"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("attune")
    p.add_argument("cases", type=pathlib.Path)
    p.add_argument("directory", type=pathlib.Path, nargs="?", default=".cache/published/templates")
    p.add_argument("--random", type=int, default=0)
    p.add_argument("--all", action="store_true")
    p.add_argument("--show", type=int, default=2)
    o = p.parse_args()
    paths = sorted(o.directory.rglob("*.jinja"))
    if not paths:
        sys.exit(f"no *.jinja in {o.directory}")
    named, asked = conversations(o.cases), sources(o.directory.resolve())
    given, cases = named, 0
    held, kinds, wrong = collections.defaultdict(lambda: [0, 0]), collections.Counter(), {}
    print(f"transformers {transformers.__version__}, jinja2 {jinja2.__version__}; {len(paths)} templates, {len(named)} conversations each and {o.random} of random changes\n")
    print("| template | cases | equal | disagreements |\n| --- | --- | --- | --- |")
    for path in paths:
        template, rng = path.read_text(encoding="utf-8"), random.Random(path.stem)
        named = given + [("random", mutated(rng, rng.choice(given)[1])) for _ in range(o.random)]
        cases += len(named)
        want = [by_transformers(template, a) for _, a in named]
        got = by_attune(o.attune, path, [a for _, a in named])
        kinds.update(kind for kind, _ in want)
        bad = [i for i in range(len(named)) if not agree(want[i], got[i])]
        source = held[asked.get(path.resolve(), "of no known source")]
        source[0] += 1
        source[1] += not bad
        if bad:
            wrong[path.stem] = [named[i][0] for i in bad]
        if bad or o.all:
            print(f"| {path.stem} | {len(named)} | {len(named) - len(bad)} | {', '.join(named[i][0] for i in bad)} |")
        for i in bad[:o.show]:
            print(describe(named[i][0], want[i], got[i]), file=sys.stderr)
    print("\n| source | templates | equal in every case |\n| --- | --- | --- |")
    for repo, (n, equal) in sorted(held.items(), key=lambda x: (-x[1][0], x[0])):
        print(f"| {repo} | {n} | {equal} |")
    print(f"| **all** | {len(paths)} | {len(paths) - len(wrong)} |\n")
    print(f"{cases - sum(map(len, wrong.values()))} of {cases} cases agree; transformers renders {kinds['text']}, the template refuses {kinds['raised']}, Python or Jinja refuse {kinds['error']}")
    if wrong:
        sys.exit("other than transformers: " + ", ".join(wrong))


if __name__ == "__main__":
    main()
