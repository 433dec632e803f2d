"""Writes data/oniguruma/testdata: what the tokenizers library, whose regular expressions are Oniguruma's, makes of the
patterns below. cases.jsonl: pattern, text, pieces (each text of a match or between matches, with whether it is a match)
and replaced (every match, empty ones too, as one U+E000), or the error. sets.jsonl: the number of characters in a set
and the CRC-32 of their code points as little-endian 32-bit numbers; all but surrogates.

usage: python scripts/goldens/oniguruma.py   (needs tokenizers; takes minutes)
"""
import array, json, pathlib, random, sys, zlib
sys.path.pop(0)  # a script in this folder has the library's name
from tokenizers import Regex, normalizers, pre_tokenizers

OUT = pathlib.Path(__file__).resolve().parents[2] / "data/oniguruma/testdata"

PUBLISHED = [  # each as it stands in a published tokenizer.json
    r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""",
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
    r"""[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
    "[一-龥\u3040-ゟ゠-ヿ]+", r"\p{N}{1,3}", "[0-9][0-9][0-9]", " {2,}", r"\A | \z", r"\s+", "[0-9]", r"[0-9]+", r"\n+| +",
    r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+""",
    r"""[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""", r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯ]+", r"[^(\s|[.,!?…。，、।۔،])]+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+", r"\s?\p{L}+", r"\s?\p{P}+", r"(?<=[\p{L}])(?=\p{N})", r"(?:\r?\n)+(?!\r?\n)", r".*?\n|.+$", r"(?<!\p{L})\p{L}{1,4}",
]
CONSTRUCTS = [  # what each part of the language means; some are errors
    r"a{1,3}+", r"a{2}?", r"a{2}?b", r"a{,2}", r"a{x", r"a{1", r"a{}", r"a{,}", r"a**", r"a+?", r"a??b", r"a*?b", r"a{1,2}?b", r"a++a", r"a*+b", r"a?+a", r"(?>a+)b", r"(?>a|ab)b", r"(?>a*?)b",
    r"(?>(?:ab)*)a", r"(?:ab)++b", r"(?:a|ab)*+c", r"^", r"$", r"^a", r"a$", r"^$", r"\A", r"\z", r"\Z", r"a\Z", r"\b", r"\B", r"\ba", r"\Bb", r"(?i:s)", r"(?i:k)", r"(?i)'S|B", r"a(?i)b|c",
    r"(?i:a(?-i:b))", r"(?m:.)", r".", r"(?m).+", r"(?i:[s-t])", r"(?i:[^k])", r"(?i:\p{Lu})", r"(?i:[\p{Lu}&&[a-z]])", r"[]a]", r"[^]a]", r"[a-c-]", r"[-a]", r"[a\-c]", r"[a&&^a]", r"[^a&&b]",
    r"[a-c&&b-d&&c]", r"[a[bc]]", r"[^a[bc]]", r"[a[^b]]", r"[[ab]&&[bc]]", r"[[:alpha:]]+", r"[[:^alpha:]]+", r"[[:punct:]]+", r"[\d\-]", r"[\w&&[^\d]]+", r"[^\W\d]+", r"\w+", r"\W+", r"[\w]+", r"\d+",
    r"\D+", r"\s+", r"\S+", r"\h+", r"\H+", r"\x41", r"\x{e9}", r"[\x41-\x43]", r"\u00e9", r"\t|\n", r"\p{Alpha}+", r"\p{^L}+", r"\P{L}+", r"\P{^L}+", r"\p{Uppercase_Letter}", r"\p{han}+", r"(|a)*", r"(|a)+b",
    r"(a*)*b", r"(a*)+", r"(a|b*)*c", r"(?:a?b??)*c", r"(?:a*?)*?b", r"(?:(?:a|)b?)*?c", r"(?:|a){2,3}b", r"(?:a|ab)(?:c|bcd)", r"(a|ab)(bc|c)?", r"(?=ab)a", r"(?!ab)a", r"(?=a+b)a", r"a(?=b*c)", r"(?<=ab)c",
    r"(?<!ab)c", r"(?<=a|bc)a", r"(?<=a{1,2}b)c", r"(?<=^a)b", r"(?<=\b)b", r"a|ab|abc", r"abc|ab|a", r"", r"a|", r"|a", r"()", r"(?:)", r"(?#x)a", r"(a)(b)", r"a|b|c", r"\.", r"\-", r"\/", r"\"", "é|ü", r"[é-ü]",
    r"\K", r"\G", r"\R", r"\X", r"(a)\1", r"(?<n>a)", r"\g<0>", r"(?~a)", r"*", r"a|*", r"(", r")", r"[", r"[a", r"[z-a]", r"[a-\d]", r"[\w-.]", r"a{3,2}", r"\p{Nope}", r"[[:nope:]]", r"(?s:.)", r"(?x: a b)", r"\pL", r"(?<=a*)b", r"\0", r"\cA",
]
ALPHABETS = [
    "ab", "abc\n", "aAbBkKsS'\u212aſ", "ab1_ \n\r\t-.&^]é", "aé1² \u2028中かカА🦙\u0301",
    " \n\r'sS.Aaé中1٢²\u0301Ǆ🦙", "abcABC 123 '\n\u3000",
]


def pieces(pattern, text):
    isolated = [o for _, o in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)]
    gaps = {o for _, o in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text)}
    return [[text[a:b], (a, b) not in gaps] for a, b in isolated if a < b]


def texts(rng, n):
    for _ in range(n):
        alphabet = rng.choice(ALPHABETS)
        yield "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 24)))


def main():
    rng = random.Random(4)
    OUT.mkdir(exist_ok=True)
    with open(OUT / "cases.jsonl", "w") as f:
        def put(**row):
            f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
        for pattern in PUBLISHED + CONSTRUCTS:
            try:
                replace = normalizers.Replace(Regex(pattern), "\ue000")
            except Exception as e:
                put(pattern=pattern, error=str(e))
                continue
            fixed = ["a", "aab", "aaab\nab\n", "abcbc", "It's 1234567 o'CLOCK!!\n\n  \tHe'LL", "x  y", " a ", "中文1２３é"]
            for text in fixed + list(texts(rng, 30 if pattern in PUBLISHED else 12)):
                put(pattern=pattern, text=text, pieces=pieces(pattern, text), replaced=replace.normalize_str(text))
    sys.stderr.write("cases written\n")
    every = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    text = "".join(map(chr, every))
    scripts = "Arabic Armenian Balinese Bengali Bopomofo Common Cyrillic Devanagari Egyptian_Hieroglyphs Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew Hiragana Inherited Kannada Katakana Kawi Khitan_Small_Script Khmer Lao Latin Malayalam Myanmar Tamil Telugu Thai Tibetan"
    categories = "C Cc Cf Cn Co L Ll Lm Lo Lt Lu LC M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs"
    others = "Any Assigned Alphabetic Uppercase Lowercase White_Space Ideographic Hex_Digit Unified_Ideograph Variation_Selector Word Punct Alnum Alpha Ascii Blank Cntrl Digit Graph Lower Print Space Upper Xdigit"
    posix = "alnum alpha ascii blank cntrl digit graph lower print punct space upper xdigit word"
    names = [r"\p{%s}" % n for n in f"{scripts} {categories} {others}".split()] + [f"[[:{n}:]]" for n in posix.split()]
    names += [r"\s", r"\d", r"\w", r"\h", r"\W", r"[\w]", r"[\W]", r"[\s]", r"[^\p{L}\p{N}]"]
    with open(OUT / "sets.jsonl", "w") as f:
        for name in names:
            left = set(normalizers.Replace(Regex(f"(?:{name})+"), "").normalize_str(text))
            members = array.array("I", (c for c in every if chr(c) not in left))
            f.write(json.dumps(dict(set=name, characters=len(members), crc32=zlib.crc32(members.tobytes()))) + "\n")


main()
