"""Makes vectors for tokenizers with Hugging Face's tokenizers library, which data/tokenizer is held to.

    .venv/bin/python scripts/goldens/tokenizers.py DIR...           for each DIR with a tokenizer.json: writes vectors.jsonl
                                                                    and decode.jsonl beside it; DIR may be a folder of such
    .venv/bin/python scripts/goldens/tokenizers.py --train DIR      trains those of the small tokenizers of
                                                                    data/tokenizer/testdata that are not there first, on
                                                                    the text below, and makes few vectors for each

Training breaks ties by chance: a tokenizer trained anew is another one.

vectors.jsonl: text, special (whether add_special_tokens), ids, decoded, and decoded_skip_special where that differs.
decode.jsonl: ids (slices of encodings, which may cut characters, and random ids), decoded, decoded_skip_special. Texts that
the tokenizer refuses are left out. Truncation and padding are switched off, as transformers switches them off.
"""

import argparse
import base64
import json
import pathlib
import random
import struct
import sys

sys.path.pop(0)  # this folder, where this file has the library's name
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PLAIN = """Hello, world!
The quick brown fox jumps over the lazy dog.
I'll say it's what they've done; she'd go, we're late, don't, can't, I'M, YOU'RE, they'Ve.
We do not know. Nobody 's here . Is it ? No ! Yes , he said ' ok ' .
A man, a plan, a canal: Panama! (1984) [sic] {x} <y> "quoted" ‘single’ “double” … — – -
Der Fuß der Straße: äöü ÄÖÜ ß ẞ. Çà et là, l'œuvre naïve de Noël.
El niño comió piñas; ¿dónde está? ¡Aquí! São Paulo, coração, ação.
Příliš žluťoučký kůň úpěl ďábelské ódy. Zażółć gęślą jaźń.
İstanbul'da ılık bir gün; IĞDIR ığdır. Ħ ħ Ǆ ǅ ǆ ﬁ ﬂ ﬃ ſ K Å
Съешь же ещё этих мягких французских булок, да выпей чаю. Ґанок їжак.
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. ΟΔΥΣΣΕΥΣ ὀδυσσεύς ᾳ ᾼ
我能吞下玻璃而不伤身体。今天天气很好，我们去公园吧！2024年5月1日
私はガラスを食べられます。それは私を傷つけません。ｶﾞｷﾞ ガギ カ゛ー 々〆
나는 유리를 먹을 수 있어요. 그래도 아프지 않아요. 각 각
أنا قادر على أكل الزجاج و هذا لا يؤلمني. الْعَرَبِيَّة ﷺ ﷽
אני יכול לאכול זכוכית וזה לא מזיק לי. שָׁלוֹם
मैं काँच खा सकता हूँ और मुझे उससे कोई चोट नहीं पहुंचती। क्षत्रिय
আমি কাঁচ খেতে পারি, তাতে আমার কোনো ক্ষতি হয় না।
நான் கண்ணாடி சாப்பிடுவேன், அதனால் எனக்கு ஒரு கேடும் வராது.
ฉันกินกระจกได้ แต่มันไม่ทำให้ฉันเจ็บ
Tôi có thể ăn thủy tinh mà không hại gì. Tiếng Việt: ặ ễ ợ ữ
ខ្ញុំអាចញុំកញ្ចក់បាន ಕನ್ನಡ తెలుగు മലയാളം ქართული հայերեն አማርኛ ᏣᎳᎩ ᚠᚢᚦ 𐌰𐌱 𝔘𝔫𝔦 𝒞𝒪 𝟘𝟙
🙂 😀😃😄 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷🇯 ❤️ ☃ ☃️ 1️⃣ #️⃣ 🦙🦙🦙 🧑🏿‍🚀
∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β = ¬(¬α ∨ β), ½ ¼ ² ³ ① ⑳ Ⅷ ㎏ ㍿ ﹪ ％ € £ ¥ $5 + 3 = 8 ^ ` ~ | \\
0 1 12 123 1234 12345 123456 1234567890 3.14 1,000,000 -7 1e-5 0xFF ٣٤٥ १२३ 五 ½
def f(x: int) -> str:\\n    return f"{x!r}"  # comment\\n\\n\\nclass A:\\n\\tpass\\n
for (int i = 0; i < n; ++i) { a[i] += b->c * *d; }  /* x */ // y
{"key": [1, 2.5, null, true], "s": "\\u00e9"}\\n<div class="a">&nbsp;</div>
SELECT * FROM t WHERE a='b' AND c<>1; -- go
https://example.org/a?b=c&d=%20#e user@example.com C:\\\\dir\\\\file.txt /usr/bin/env
snake_case camelCase PascalCase SCREAMING_CASE kebab-case __init__ HTTPServer iPhone15Pro
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ababababab xyzzy Llanfairpwllgwyngyll
antidisestablishmentarianism supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis
""".replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\").strip().split("\n\x00")[0].splitlines()

ODD = [
    "", " ", "  ", "   ", "       ", " " * 33, "\t", "\t\t", "\n", "\n\n", "\n\n\n", "\r", "\r\n", "\r\n\r\n", " \n", "\n ", " \n \n  x", "a ", " a",
    "  a", "a  ", " a  b   c    d ", "a\tb", "a\nb", "a\r\nb", "a\n\n\nb", "x \t\n y", "   \n   \n", "\u00a0", "a\u00a0b", "\u3000", "a\u3000b",
    "\u2003x\u2009y\u200az", "\u2028", "\u2029", "a\u2028b\u2029c", "\u1680a", "\u0085", "a\u0085b", "\x0b", "\x0c", "a\x0bb\x0cc", "\x1c\x1d\x1e\x1f",
    "\x00", "a\x00b", "\x01\x02\x03", "\x07\x08", "\x1b[31mred\x1b[0m", "\x7f", "\x80\x8f\x9f", "\u200b", "a\u200bb", "\u200c\u200d\u200e\u200f",
    "\u2060", "\ufeff", "\ufeffstart", "a\ufeffb", "\ufffd", "a\ufffdb", "\ue000\uf8ff", "\U000f0000\U0010fffd", "\U0010ffff", "\uffff", "\ufdd0",
    "\u00ad", "co\u00adop", "\u061c", "\u2066x\u2069", "\u180e", "\u0300", "\u0301\u0301\u0301", "e\u0301", "E\u0301", "é", "e\u0301\u0323", "q\u0307\u0323",
    "o\u0308\u0304", "ȫ", "\u1112\u1161\u11ab", "한", "\u1100\u1161", "a\u0345", "\u0344", "\u0958", "\u2126", "\u212b", "\ufb01x", "x\ufe0f", "\u20dd",
    "a\u20dd", "\u0903\u093e", "\U0001d15e", "Z\u0351\u036b\u0343A\u0334L\u0321G\u0322O\u0489", "▁", "▁a", "a▁b", "▁▁▁", " ▁ ", "Ġ", "Ġa", "ĊĠ", "##", "##a",
    "a##b", "@@", "a@@ b", "</w>", "a</w>", "|", "a|b", "<0x41>", "<0x0A>", "<0xE2><0x96>", "<0xFF>", "a<0x41>b", "<0x+1>",
    "'", "''", "'s", "'S", "'ſ", "''s", "a's", "a'S's", "'re're", "’s", "don’t", "!!", "!?", "...", "....", "-", "--", "---", "_", "__", "a_b", "$", "€", "a$b",
    "A", "ABC", "aBC", "ABc", "AbC", "ÀÉ", "ǅ", "ʰ", "ª", "中", "中文", "a中b", "中a", "中 文", "㐀", "\U00020000", "\U0002b740", "\U0002b820a", "豈", "\U0002f800",
    "ー", "カー", "アa", "かカ漢", "ｱ", "１２３", "ＡＢＣ", "①②", "㈱", "…", "¨", "´a", "\u037e", "\u1fc1", "🦙", "🦙🦙", "a🦙", "🦙a", "🇩🇪", "🇩", "👨‍👩‍👧", "☃\ufe0f",
    "㋿ ꟲ \U0001f16c \U00010781", "a\u2e52b\u2e43", "a\u1abfb\u0898c\u1cf2", "a\u08e2b\u0890", "a\U00016d40\U000116d0b \u1c89", "a\u1734b\u1885", "\U00011935\U00011930\U00011938",
    "word " * 40, "x" * 99, "x" * 100, "x" * 101, "é" * 100, "é" * 101, "ab" * 300, "🦙" * 60, "\n" * 40, "0" * 70, "中" * 80, "." * 90, "a b " * 60,
]

CORPUS = """Once there was a small red boat that sailed on a wide blue lake. Every morning the boat went out, and every evening it came home.
The children by the water called to it: hello, boat, hello! It could not answer, but it rocked a little, and they were happy with that.
One day the wind was strong and the waves were high. The boat did not turn back. It sailed on and on until the far shore could be seen.
There it found a harbour with many other boats, some of them older, some of them newer, all of them waiting for the weather to change.
"Where do you come from?" asked the oldest. "From the other side," said the red boat, "where the children are calling." They're waiting.
In the night the wind was still. In the morning the lake was like a mirror, and the small red boat sailed home, slowly, without a sound.
Counting 1, 2, 3, 10, 20, 100 and 1000 boats; in 1984 there were 365 days of sailing, 24 hours each, 60 minutes an hour.
Das kleine rote Boot fährt über den großen See; die Kinder grüßen es vom Ufer. Später wird es müde und schläft im Hafen.
Le petit bateau rouge traverse le lac; les élèves l'appellent de la rive. L'été, il ne rentre qu'à la fin de la journée.
El pequeño barco rojo cruza el lago. Los niños lo llaman desde la orilla: ¡hola, barco! Mañana volverá otra vez.
Маленькая красная лодка плывёт по озеру. Дети зовут её с берега. Лодка не отвечает, но качается на волнах.
小さな赤い船が湖を渡る。子供たちは岸から船を呼ぶ。小红船在湖上航行，孩子们在岸边喊它。
def sail(boat, lake):
    for wave in lake.waves:
        if wave.height > boat.limit: return False
    return boat.name + "!"
""".splitlines()


def texts(tok, few):
    """The texts to encode, those with the tokenizer's own added tokens in them last."""
    some = PLAIN + ODD
    joined = "\n".join(PLAIN)
    rng = random.Random(20)
    added = [t.content for _, t in sorted(tok.get_added_tokens_decoder().items())]
    if len(added) > 24:
        added = added[:8] + rng.sample(added[8:], 16)
    own = []
    for t in added:
        own += [t, " " + t + " ", "a" + t + "b", "say " + t + " now"] + ([] if few else [t + t, t[:-1], t.upper(), "\n" + t + "\n", t + "s", "x\t" + t])
    own += ["".join(added), " ".join(added)] if len(added) < 30 else []
    mixed = []
    for _ in range(160):
        parts = []
        for _ in range(rng.randint(1, 6)):
            kind = rng.randrange(5)
            if kind == 0 and added:
                parts.append(rng.choice(added))
            elif kind == 1:
                parts.append(rng.choice(ODD)[:40])
            else:
                at = rng.randrange(len(joined))
                parts.append(joined[at:at + rng.randint(1, 30)])
        mixed.append("".join(parts))
    if few:  # other ones for each tokenizer
        some = [t for t in some if len(t) < 39][tok.get_vocab_size() % 6::6]
        own, mixed = own[:7], [t for t in mixed if len(t) < 60][:6]
    return list(dict.fromkeys(some + mixed + own))


def vectors(tok, few):
    out, encodings = [], []
    for i, text in enumerate(texts(tok, few)):
        for special in (False, True) if i % 4 == 0 else (False,):
            try:
                ids = tok.encode(text, add_special_tokens=special).ids
            except Exception as e:  # an unknown token that the vocabulary lacks
                print("  refused:", ascii(text[:30]), e)
                continue
            encodings.append(ids)
            out.append({"text": text, "special": special, "ids": ids} | decoded(tok, ids, False))
    return out, encodings


def decoded(tok, ids, always):
    plain, skipped = tok.decode(ids, skip_special_tokens=False), tok.decode(ids, skip_special_tokens=True)
    out = {"decoded": plain}
    if always or plain != skipped:
        out["decoded_skip_special"] = skipped
    return out


def slices(tok, encodings, few):
    rng = random.Random(21)
    size = tok.get_vocab_size(with_added_tokens=True)
    out = []
    for i in range(10 if few else 80):
        if i % 2:
            ids = [rng.randrange(size) for _ in range(rng.randint(1, 12))]
        else:
            whole = rng.choice([e for e in encodings if len(e) > 1])
            lo = rng.randrange(len(whole))
            ids = whole[lo:lo + rng.randint(1, 20)]
        out.append({"ids": ids} | decoded(tok, ids, True))
    return out


def write(path, rows):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")


def make(dir, few=False):
    try:
        tok = Tokenizer.from_file(str(dir / "tokenizer.json"))
    except Exception as e:
        print(dir.name, "is refused:", e)
        return
    tok.no_truncation()
    tok.no_padding()
    rows, encodings = vectors(tok, few)
    write(dir / "vectors.jsonl", rows)
    write(dir / "decode.jsonl", slices(tok, encodings, few))
    print(dir.name, len(rows))


def charsmap(changes):
    """SentencePiece's precompiled_charsmap of some changes: a double array of Darts, then the replacements."""
    blob, at = b"", {}
    for to in dict.fromkeys(changes.values()):
        at[to] = len(blob)
        blob += to.encode() + b"\0"
    root = {}
    for key, to in changes.items():
        node = root
        for b in key.encode():
            node = node.setdefault(b, {})
        node[None] = at[to]
    units, used = {0: 0}, {0}

    def place(node, pos):
        labels = [0 if b is None else b for b in node]
        base = 1
        while any(base ^ c in used for c in labels):
            base += 1
        used.update(base ^ c for c in labels)
        units[pos] = units.get(pos, 0) | (pos ^ base) << 10 | (None in node) << 8
        for b, child in sorted((kv for kv in node.items() if kv[0] is not None)):
            units[base ^ b] = b
        if None in node:
            units[base] = node[None] | 1 << 31
        for b, child in node.items():
            if b is not None:
                place(child, base ^ b)

    place(root, 0)
    size = (max(units) // 256 + 1) * 256
    trie = struct.pack("<%dI" % size, *(units.get(i, 0) for i in range(size)))
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + blob).decode()


def small():
    """The small tokenizers, each of another kind."""
    changes = {c: " " for c in "\t\n\r\u00a0\u3000\u2003"} | {"ﬁ": "fi", "①": "1", "…": "...", "½": "1⁄2", "\u200b": "", "\x01": "", "e\u0301": "é", "ｶﾞ": "ガ"}
    changes |= {chr(0xFF01 + i): chr(0x21 + i) for i in range(94)}

    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    t.train_from_iterator(CORPUS, trainers.UnigramTrainer(vocab_size=260, special_tokens=["<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>", show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    spec = json.loads(t.to_str())
    spec["normalizer"]["normalizers"].insert(0, {"type": "Precompiled", "precompiled_charsmap": charsmap(changes)})
    yield "unigram", spec

    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.train_from_iterator(CORPUS, trainers.UnigramTrainer(vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False))
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first"), decoders.Fuse()])
    spec = json.loads(t.to_str())
    spec["model"]["byte_fallback"] = True
    spec["model"]["vocab"] += [["<0x%02X>" % b, 0.0] for b in range(256)]
    yield "unigram-bytes", spec

    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    spec = json.loads(t.to_str())
    spec["model"]["max_input_chars_per_word"] = 20
    yield "wordpiece", spec

    t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.train_from_iterator(CORPUS, trainers.WordLevelTrainer(vocab_size=120, special_tokens=["[UNK]", "[SEP]"], show_progress=False))
    spec = json.loads(t.to_str())
    del spec["model"]["type"]
    yield "wordlevel", spec

    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    specials = ["<unk>", "<s>", "</s>"]
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=480, special_tokens=specials + ["<0x%02X>" % b for b in range(256)], max_token_length=12, show_progress=False))
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    spec = json.loads(t.to_str())
    spec["added_tokens"] = [a for a in spec["added_tokens"] if a["content"] in specials]
    yield "bytefallback", spec

    o200k = "|".join([
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
    ])
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(o200k), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.add_tokens([AddedToken("<think>", normalized=False), AddedToken("<|call|>", special=True, rstrip=True)])
    yield "bytelevel", json.loads(t.to_str())

    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.BPEDecoder("</w>")
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False))
    yield "endofword", json.loads(t.to_str())


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--train", action="store_true", help="train the small tokenizers that DIR lacks first")
    p.add_argument("dirs", nargs="+", type=pathlib.Path, metavar="DIR")
    args = p.parse_args()
    print("tokenizers", tokenizers.__version__)
    for dir in args.dirs:
        if args.train:
            for name, spec in small():
                file = dir / name / "tokenizer.json"
                if file.exists():
                    continue
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(spec, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        found = [dir] if (dir / "tokenizer.json").exists() else sorted(d.parent for d in dir.glob("*/tokenizer.json"))
        for one in found:
            make(one, few=args.train)


if __name__ == "__main__":
    main()
