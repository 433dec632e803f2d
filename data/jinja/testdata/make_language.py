"""Writes language.jsonl: small templates, their variables, and what transformers' own Jinja environment makes of them.

usage: python make_language.py > language.jsonl     (transformers 5.23, jinja2 3.1.6)
"""
import json
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template

DEFAULT = {
    "s": "Hello, World", "t": "  padded\t\n", "u": "Straße ÉCOLE ΣΑΣ naïve 日本語 👩‍👧", "e": "", "n": 7, "neg": -7, "f": 2.5, "big": 1e22, "tiny": 1e-7,
    "yes": True, "no": False, "nil": None, "l": [3, 1, 2], "w": ["b", "A", "c", "a"], "nested": [[1, 2], [3, [4, 5]]],
    "d": {"b": 1, "a": [1, 2], "items": "mine", "x y": None}, "m": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo", "n": 2}, {"role": "user", "content": "z", "n": 1}],
    "html": "<a href=\"x\">it's & more</a>", "lines": "one\ntwo\r\n\nthree",
}

EXPR = r'''
1 + 2 * 3 - 4 // 3
7 // -2
-7 // 2
7 % -3
-7 % 3
7.5 // 2
-7.5 % 2
7 / 2
4 / 2
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
2.0 ** 0.5
1e3
1e16
1e15
123456789012345680.0
1.5e-5
0.1 + 0.2
0x1f
0b101
0o17
1_000
1 == 1.0
True == 1
"1" == 1
none == false
1 < 2 < 3
1 < 3 < 2
1 != 2
"a" < "b"
[1, 2] < [1, 3]
(1, 2) == (1, 2)
[1] == (1,)
"ell" in s
"x" not in s
3 in l
"b" in d
"zz" in d
1 in {1: 2}
not yes
not no and yes
yes or nil
no or "x"
nil and 1
0 or e or "last"
s ~ n ~ nil ~ f ~ yes
"a" + "b" * 3
3 * "ab"
[1] + [2]
[0] * 3
(1,) + (2,)
"%s is %d and %.2f" % ("x", 3, 1.5)
"%05d|%-5s|%5s|%+d|%x|%X|%o|%e|%g|%%" % (42, "a", "b", 5, 255, 255, 8, 12345.678, 0.0001)
"%(a)s %(b)03d" % {"a": 1, "b": 2}
"%r %s" % ("it's", none)
"%c%c" % ("x", 65)
"%.3s" % "abcdef"
"%5.1f|" % 2.25
"{} {}".format(1, "b")
"{0} {1} {0}".format("a", "b")
"{x:>5}|{x:<5}|{x:^5}|{x:*^7}".format(x="ab")
"{:05d}|{:+d}|{:,}|{:_}".format(42, 5, 1234567, 1234567)
"{:.2f}|{:8.3f}|{:e}|{:g}|{:%}".format(3.14159, 2.5, 12345.678, 1e-5, 0.25)
"{:x}|{:X}|{:#x}|{:b}|{:o}|{:c}".format(255, 255, 255, 5, 8, 65)
"{!r} {!s}".format("a'b", "c")
"{a[0]} {a[1]}".format(a=[1, 2])
"{d[b]}".format(d=d)
"{{}} {}".format(1)
"{:{w}}|".format("a", w=4)
"{}".format([1, "a", none, 1.0])
"a" "b"
s.upper() + s.lower()
s.title() ~ "|" ~ "they're bill's".title()
"they're bill's-friend (x)"|title
s.swapcase()
"hELLO wORLD".capitalize()
u.upper()
u.lower()
u.title()
u.capitalize()
u|upper
"ΑΣ".lower()
t.strip() ~ "|" ~ t.lstrip() ~ "|" ~ t.rstrip() ~ "|"
"xxabcxx".strip("x") ~ "xyabcyx".lstrip("xy") ~ "abcba".rstrip("ab")
"a,b,,c".split(",")
"a,b,,c".split(",", 2)
"a b  c\td\n".split()
"a b  c d".split(none, 1)
" a b  c d ".rsplit(none, 2)
"a,b,c".rsplit(",", 1)
"a,b,c".split(",", maxsplit=1)
"abc".split("x")
"".split()
"".split(",")
lines.splitlines()
lines.splitlines(true)
"a=b=c".partition("=")
"a=b=c".rpartition("=")
"abc".partition("x")
"abc".rpartition("x")
s.startswith("Hello") ~ s.endswith("World") ~ s.startswith(("x", "H"))
s.startswith("World", 7) ~ s.endswith("Hello", 0, 5)
s.find("o") ~ s.rfind("o") ~ s.find("zz") ~ s.find("o", 5) ~ s.find("o", 5, 7)
s.index("W")
u.find("日")
s.count("l") ~ "aaa".count("aa") ~ "abc".count("")
"banana".replace("a", "o") ~ "banana".replace("a", "o", 2) ~ "abc".replace("", "-") ~ "abc".replace("", "-", 2)
"日本".replace("", ".")
"-".join(["a", "b"])
",".join(d)
"42".zfill(5) ~ "-42".zfill(5) ~ "abc".zfill(2)
"ab".center(6) ~ "|" ~ "ab".center(5, "*") ~ "|" ~ "abc".center(6, "*") ~ "|" ~ "abc".center(8,"-")
"ab".ljust(4, ".") ~ "ab".rjust(4, ".")
"a\tb".expandtabs(4) ~ "|" ~ "ab\tc\n\td".expandtabs()
"abc".removeprefix("a") ~ "abc".removesuffix("c") ~ "abc".removeprefix("x")
"12".isdigit() ~ "1a".isdigit() ~ "".isdigit() ~ "ab".isalpha() ~ "a1".isalnum() ~ " \t".isspace() ~ "AB".isupper() ~ "ab1".islower() ~ "½".isnumeric() ~ "½".isdigit() ~ "²".isdigit() ~ "²".isdecimal()
"a_1".isidentifier() ~ "1a".isidentifier()
"Hello World".istitle()
s[0] ~ s[-1] ~ s[1:4] ~ s[::-1] ~ s[::2] ~ s[5:1:-1] ~ s[-3:] ~ s[:-3] ~ s[100:] ~ s[-100:2]
u[7:12]
l[0] ~ l[-1]
l[1:] ~ l[::-1] ~ l[5:] ~ l[:0]
l[10]
l["a"]
s[100]
d["b"] ~ d.b ~ d["x y"]
d["items"]
d.items()
d.keys()|list
d.values()|list
d.get("b") ~ d.get("q") ~ d.get("q", 5)
d.q
d["q"]
d.keys()
d
l
m
nested
(1,)
()
{}
[]
{"a": 1, 2: "b", none: true}
[1, 2.0, "x'y", 'x"y', "both'\"", "tab\there", "\x00\x1f\x7f\xa0é", none, true]
"\u00e9\x41\101\n\\\q\'"
'a\
b'
nil
yes
f
big
tiny
100000000000000000000.0
1e100
-0.0
undefined_thing
undefined_thing is defined
undefined_thing is undefined
s is defined
undefined_thing|default("dflt")
undefined_thing|d("x")
e|default("x", true)
e|default("x")
nil|default("x")
nil|default("x", true)
undefined_thing or "else"
not undefined_thing
undefined_thing == undefined_other
undefined_thing|length
undefined_thing|list
undefined_thing ~ "x"
"x" in undefined_thing
undefined_thing.foo
undefined_thing["foo"]
undefined_thing()
undefined_thing + 1
d.q.r
"x" + 1
"x" + none
"x" ~ 1
1 + "x"
[1] + (2,)
1 < "a"
none < 1
nil.foo
nil["foo"]
n.foo
n()
s()
1 / 0
1 // 0
1 % 0
1.0 / 0
2 in 5
nil in s
n is number
f is number
yes is number
yes is integer
n is integer
f is float
yes is boolean
nil is none
s is string
l is string
d is mapping
l is mapping
l is sequence
s is sequence
d is sequence
s is iterable
n is iterable
l is iterable
yes is true
1 is true
no is false
n is odd
n is even
9 is divisibleby 3
9 is divisibleby(2)
n is eq 7
n is equalto 7
n is ne 7
n is lt 8
n is gt(8)
n is ge 7
n is le 7
n is sameas n
s is lower
"abc" is lower
"ABC" is upper
"a" is in ["a", "b"]
"a" in ["a"] and "b" not in ["a"]
"z" is not in ["a", "b"]
range is callable
s is callable
"upper" is filter
"nope" is filter
"odd" is test
s is not string
s is escaped
nil is not none
s is string and n is number or no
[1, 2, 3]|sum
m|sum(attribute="n")
[1, 2]|sum(start=10)
l|length
d|length
u|length
nil|length
5|length
l|sort
w|sort
w|sort(case_sensitive=true)
l|sort(reverse=true)
m|sort(attribute="role")|map(attribute="content")|join(",")
m|sort(attribute="role,content")|map(attribute="content")|join(",")
[1, "a"]|sort
d|dictsort
{"B": 1, "a": 3, "c": 2}|dictsort
{"B": 1, "a": 3, "c": 2}|dictsort(true)
{"B": 1, "a": 3, "c": 2}|dictsort(false, "value")
{"B": 1, "a": 3, "c": 2}|dictsort(reverse=true)
l|reverse|list
s|reverse
l|first
l|last
[]|first
[]|last
s|first
s|last
d|first
l|min
l|max
w|min
w|max
w|max(case_sensitive=true)
[]|min
m|max(attribute="content")
w|unique|list
w|unique(case_sensitive=true)|list
m|unique(attribute="role")|map(attribute="role")|list
l|join
l|join("-")
m|join(", ", attribute="content")
m|map(attribute="n")|list
m|map(attribute="n", default=0)|list
w|map("upper")|list
w|map("replace", "a", "X")|list
l|select("odd")|list
l|reject("odd")|list
l|select|list
[0, 1, none, "", "a"]|select|list
m|selectattr("n")|list|length
m|selectattr("role", "equalto", "user")|map(attribute="content")|list
m|rejectattr("role", "equalto", "user")|map(attribute="content")|list
m|selectattr("n", "defined")|list|length
m|selectattr("role", "in", ["user"])|list|length
(m|selectattr("role", "eq", "nobody")) and "true"
m|selectattr("role", "eq", "user")|first
l|select("gt", 1)|list
l|select("nope")|list
m|groupby("role")
m|groupby("role")|map(attribute="grouper")|list
m|groupby("n", default=0)|map("first")|list
m|groupby("role")|map("last")|map("length")|list
[1,2,3,4,5]|batch(2)|list
[1,2,3,4,5]|batch(2, "x")|list
[1,2,3,4,5]|slice(3)|list
[1,2,3,4,5]|slice(3, "x")|list
"abc"|list
d|list
d|items|list
s|list|length
5|list
"5"|int + 1
"5.7"|int
"x"|int
"x"|int(9)
"0x1f"|int(base=16)
"ff"|int(0, 16)
" 42 "|int
3.99|int
-3.99|int
true|int
nil|int
"2.5"|float
"x"|float
"1e3"|float
3|float
nil|float
-5|abs
-2.5|abs
"a"|abs
2.5|round
3.5|round
2.675|round(2)
1234.5|round(-2)
42|round
42.55|round(1, "ceil")
42.55|round(1, "floor")
2.4|round(method="ceil")
42.7|round|int
s|string ~ n|string
l|string
html|e
html|escape
html|safe
html|striptags
"<p>a  b</p><!-- c --> d"|striptags
s|lower ~ s|upper ~ s|capitalize
t|trim
"xxaxx"|trim("x")
"abc"|center(9) ~ "|"
s|replace("o", "0")
s|replace("o", "0", 1)
s|truncate(5)
s|truncate(8)
"foo bar baz qux"|truncate(9)
"foo bar baz qux"|truncate(9, true)
"foo bar baz qux"|truncate(11)
"foo bar baz qux"|truncate(11, false, "...", 0)
"a b c d"|wordcount
"it's a-b"|wordcount
"hello world foo"|wordwrap(7)
"hello world foo bar"|wordwrap(11)
"abcdefghij kl"|wordwrap(4)
"abcdefghij kl"|wordwrap(4, false)
"a\nb c d e f"|wordwrap(3)
"one\ntwo\n\nthree"|indent
"one\ntwo\n\nthree"|indent(2, true)
"one\ntwo\n\nthree"|indent(2, true, true)
"one\ntwo"|indent("> ", first=true)
"one\ntwo\n"|indent(2)
"%s-%s"|format("a", 2)
"%(x)s"|format(x=1)
"a b/c?d=é&f"|urlencode
{"a b": 1, "c": "d/e"}|urlencode
[("a", 1), ("b", 2)]|urlencode
1|filesizeformat
1000|filesizeformat
1500000|filesizeformat
1024|filesizeformat(true)
d|attr("b")
d|tojson
l|tojson
s|tojson
u|tojson
html|tojson
nil|tojson
yes|tojson
f|tojson
big|tojson
[1.0, 1e-7, 1e16, 123456.789]|tojson
{"b": 1, "a": {"c": [1, 2, {}], "d": []}}|tojson(indent=2)
{"b": 1, "a": 2}|tojson(sort_keys=true)
{"b": 1, "a": [1, 2]}|tojson(separators=(",", ":"))
{"b": 1, "a": [1, 2]}|tojson(indent=4, separators=(",", " : "))
{"b": [1]}|tojson(indent=0)
u|tojson(ensure_ascii=true)
"\"\\/\b\f\n\r\t\x00\x1f\x7f\u2028"|tojson
{1: 2, none: 3, true: 4, 1.5: 5}|tojson
undefined_thing|tojson
range(3)|tojson
(1, 2)|tojson
m|tojson(indent="--")
range(5)|list
range(2, 5)|list
range(5, 0, -2)|list
range(1000000)
range(0)|list
range(1,2,0)
dict(a=1, b=2)
dict([("x", 1), ("y", 2)])
dict({"a": 1}, b=2)
namespace(a=1).a
namespace({"a": 1}, b=2).b
namespace(_a=1)
[1, 2][0]
{"a": 1}["a"]
{"a": 1}.a
"abc"[1]
(1, 2, 3)[1:]
1 if yes
1 if no
1 if no else 2 if no else 3
"a" if yes else undefined_thing.x
[x for x in l]
(1 if yes else 2) + 3
-l[0]
- n|abs
-5|abs
not n is odd
n is odd == yes
1 + 2|string
"a" ~ "b"|upper
("a" ~ "b")|upper
l|length == 3
l|length - 1
d.a[0]
d.a.0
nested[1][1][0]
nested.1.1.0
l.index(1)
l.count(3)
l.append(1)
l.pop()
d.pop("b")
d.update({"z": 1})
s.__class__
l.__class__.__mro__
""["__class__"]
"{0.__class__}".format(s)
s|nope
s is nope
raise_exception("bad " ~ n)
raise_exception()
"a\\nb"
"tab\there"
"é"|length
"👩‍👧"|length
"👩‍👧"[0]
"aé日"[::-1]
"x"|upper|lower|title
l|map("string")|join("+")
d|map("upper")|join
m[0].role
m[0]["role"]
m[-1].content
m[5].role
m|length > 2 and m[0].role == "user"
m[1:]|map(attribute="role")|join(",")
m[::-1]|map(attribute="content")|join(",")
m == m
m[0] == {"content": "hi", "role": "user"}
m[0] != m[1]
{"a": [1, {"b": none}]} == {"a": [1, {"b": none}]}
1 in l and 5 not in l
"a" < "B"
[] or {} or () or "" or 0 or none
"" is defined
5 is divisibleby 0
cycler("a", "b").next()
joiner("|")() ~ "x"
"%d" % 3.7
"%d" % "x"
"%s" % [1]
"%s %s" % [1, 2]
"%s" % (1, 2)
"abc" % ()
"a".join("bcd")
"a".join([1])
"x" * 0
"x" * -1
"x" * 2.0
[[]] * 2
2 * [1]
"é" * 3
7 % 2.5
10 ** 2
range(3)
range(1, 9, 2)
range(5)[1]
range(5)[1:3]|list
range(3) is sequence
l == range(3)
" a  b ".rsplit(none, 5)
"a b ".split(none, 1)
10 ** -2
0 ** 0
1.5 + 1
1 - 1.5
3 * 1.5
True + True
"b" > "a" > "A"
1 == 1 == 1
1 < 2 == true
not 1 == 2
"a" == "a" and "b" or "c"
"user" ~ (": " if no else " - ") ~ s
'single "double"' ~ "double 'single'"
{'k': 'v'}.items()|list
{"a": 1, "b": 2}|items|map("join", "=")|join("&")
[3, 1]|sort|first
"a.b.c".split(".")|last
"a.b.c".split(".")[-1]
"1,2,3".split(",")|map("int")|sum
"  x ".strip().upper().center(5, "-")
s.lower().replace("l", "L").split("L")
"content" in m[0]
"tool_calls" in m[0]
"tool_calls" not in m[0]
m[0].tool_calls is defined
m[0].tool_calls is defined and m[0].tool_calls
m[0].get("content", "")
m[0].get("nope", "fallback")
m[0]["nope"] is not defined
loop
caller
varargs
123456789|string|length
"%08.3f|%+.1e|% d" % (3.14159, 12345.6, 5)
"{:>+8.2f}|{:<8}|{:^8}|{:=+8d}".format(2.5, 1, True, 5)
"{0!r:>10}|{1:>{2}}".format("a", "b", 4)
"{:s}".format(5)
"{:d}".format("x")
"{} {}".format(1)
"{a}".format(b=1)
"{".format()
"}".format()
"{:>+8}|{:=6}|{:06}|{:<06}".format(True, -5, -5, 5)
"Hello world".istitle() ~ "They'Re".istitle()
"①".isdigit()
"{:=+8d}".format(5)
nil|select|list
nil|map("upper")|list
0|reject("odd")|list
no|selectattr("role")|list
nil|rejectattr|list
nil|map|list
e|map("nope")|list
undefined_thing|map("upper")|join
undefined_thing.x|select|list
5|select|list
yes|map("upper")|list
{}|selectattr("x")|list
nil|list
nil|join
nil|first
nil|sum
'''

BLOCKS = [
    "{% if yes %}a{% elif no %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% else %}c{% endif %}", "{% if undefined_thing %}a{% endif %}b",
    "{% for x in l %}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}", "{% for x in [] %}x{% else %}empty{% endfor %}", "{% for x in undefined_thing %}x{% else %}none{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in [1,1,2,2,1] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% endfor %}", "{% for x in l if x > 5 %}{{ x }}{% else %}no{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }};{% endfor %}", "{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }},{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}", "{% for c in 'aé日' %}[{{ c }}]{% endfor %}", "{% for x in 5 %}{{ x }}{% endfor %}", "{% for x in nil %}{{ x }}{% endfor %}",
    "{% for x in range(10) %}{% if x == 3 %}{% continue %}{% endif %}{% if x == 6 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}|{% endfor %}",
    "{% for x in l %}{% for y in 'ab' %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}", "{% for x in l recursive %}{{ x }}{% endfor %}",
    "{% for x in nested recursive %}{% if x is iterable %}[{{ loop(x) }}]{% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}", "{% for x in l %}{{ loop(x) }}{% endfor %}",
    "{% set x = 1 %}{% for y in l %}{% set x = x + y %}{{ x }},{% endfor %}{{ x }}", "{% set ns = namespace(x=0) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}", "{% for y in l %}{{ z }}{% set z = y %}{{ z }};{% endfor %}{{ z }}",
    "{% if yes %}{% set q = 5 %}{% endif %}{{ q }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = (1, 2) %}{{ a }}", "{% set a = 1, 2 %}{{ a }}", "{% set n.x = 1 %}", "{% set undefined_thing.x = 1 %}",
    "{% set x %}<b>{{ s }}</b>{% endset %}{{ x|length }}{{ x }}", "{% set x | upper %}abc{{ s }}{% endset %}{{ x }}", "{% set x | replace('a', 'b') | upper %}aaa{% endset %}{{ x }}", "{% set ns = namespace() %}{% set ns.a %}text{% endset %}{{ ns.a }}",
    "{% macro f(a, b='x') %}{{ a }}-{{ b }};{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(b=3, a=4) }}{{ f() }}", "{% macro f(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, x=4) }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(z=2) }}", "{% macro f(a, b=a ~ '!') %}{{ b }}{% endmacro %}{{ f('x') }}", "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro f() %}{{ s }}{% set s = 'inner' %}{{ s }}{% endmacro %}{{ f() }}{{ s }}", "{% set x = 1 %}{% macro f() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ f() }}", "{% for i in [1,2] %}{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% endfor %}{{ f is defined }}",
    "{% macro f() %}[{{ caller() }}]{% endmacro %}{% call f() %}body {{ s }}{% endcall %}", "{% macro f() %}[{{ caller(1, 2) }}]{% endmacro %}{% call(a, b) f() %}{{ a }}+{{ b }}{% endcall %}", "{% macro f() %}x{% endmacro %}{% call f() %}body{% endcall %}", "{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f.name }}{{ f.arguments }}", "{% macro f(a) %}<{{ a }}>{% endmacro %}{{ l|map('string')|map('upper')|join }}{{ f(f(1)) }}", "{% macro f(a) -%} x {{- a -}} y {%- endmacro %}{{ f(1) }}|", "{% macro f(x) %}{% for i in x %}{{ i }}{% endfor %}{% endmacro %}{{ f(x=l) }}",
    "{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter replace('a', 'b') | trim %}  aXa  {% endfilter %}", "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}", "{% with %}{% set zz = 1 %}{{ zz }}{% endwith %}{{ zz }}", "{% with a = 1 %}{% with b = a %}{{ b }}{% endwith %}{% endwith %}",
    "{% raw %}{{ not }} {% this %}{% endraw %}", "a{%- raw -%} {{ x }} {%- endraw -%} b", "a {% raw -%}\n  x {% endraw %} b", "{# comment #}a{#- b -#} c", "a\n{# c #}\nb", "a\n  {# c #}  \nb", "a\n  {% if yes %}  \n  b\n  {% endif %}\nc", "a\n  {{ s }}\nb", "a {%- if yes -%} b {%- endif -%} c",
    "a\n{%- if yes %}\nb\n{%- endif %}\nc", "a\n{%+ if yes %}\n  b{%+ endif %}\nc", "a\n   {%+ if yes +%}\n  b\n{% endif %}\n", "{{- s -}} x", " {{- s }} x \n", "a\n\n{% if yes %}\n\nb\n{% endif %}\n\n", "\n\n{{ s }}\n\n", "line\r\n{% if yes %}\r\nb\r{% endif %}c\r\n", "{% if yes %}x{% endif %}\n{% if yes %}y{% endif %}\n",
    "   {% if yes %}x{% endif %}   ", "x   {% if yes %}y{% endif %}", "{{ s }}   {% if yes %}y{% endif %}", "{{ s }}\n   {% if yes %}y{% endif %}", "{% if yes %}   {% if yes %}y{% endif %}{% endif %}", "{# c #}   {% if yes %}y{% endif %}", "{% if yes %}\n   {% if yes %}y{% endif %}{% endif %}", "{{ '}}' }}{{ \"%}\" }}{{ '{{' }}{{ '#}' }}",
    "{{ {'a': {'b': 1}}.a.b }}", "{{ {'a': 1}}}", "{{ {} }}", "{%if yes%}x{%endif%}{{s}}", "{%- if yes -%}x{%- endif -%}", "a{{ '' }}\n", "{{ s }}{# a\nb\nc #}{{ n }}", "{ { s } } {% if yes %}{%{% endif %}", "{", "a{", "{ %", "{{ '{' }}{", "{%", "{{", "{#", "{{ s", "{% if yes %}", "{% endif %}", "{% if %}x{% endif %}", "{% for %}{% endfor %}", "{% for x l %}{% endfor %}", "{% nope %}", "{{ }}",
    "{{ 1 + }}", "{{ ) }}", "{{ (1 }}", "{{ [1 }}", "{{ s.. }}", "{{ s. }}", "{{ s| }}", "{{ 'abc }}", "{{ 1 2 }}", "{{ a b }}", "{% set %}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{% macro %}{% endmacro %}", "{% macro f(a=1, b) %}{% endmacro %}", "{{ f(a=1, 2) }}", "{% break %}", "{% else %}", "{% do l.append(1) %}", "{% include 'x' %}", "{% extends 'x' %}", "{% import 'x' as y %}", "{{ s is }}", "{{ is s }}", "{{ s if }}", "{% if yes %}{% endfor %}", "{{ $ }}", "{{ s ! }}", "{{ 1 ? 2 }}", "{{ s == }}",
    "{% generation %}a{{ s }}{% endgeneration %}b", "{% for x in l %}{% generation %}{{ x }}{% set q = x %}{% endgeneration %}{{ q }},{% endfor %}", "{%- generation -%} a {%- endgeneration -%} b", "{% generation %}", "{% block a %}x{{ s }}{% endblock %}", "{% print s, n %}", "{{ s, n }}", "{{ s, }}", "{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% for x in (l if yes else w) %}{{ x }}{% endfor %}", "{% for x in l if yes else w %}{% endfor %}",
    "{% for m1 in m %}{% if m1.role == 'user' and loop.first %}{{ m1.content }}{% elif (m1['role'] == 'assistant') != (loop.index0 % 2 == 0) %}A{{ m1['content'] }}{% endif %}{% endfor %}", "{% set m = m[1:] %}{% for x in m %}{{ x.content }}{% endfor %}", "{% set content = m[0]['content'] %}{% set content = '<' + content + '>' %}{{ content }}", "{% for x in m %}{% set x = x.content %}{{ x }}{% endfor %}", "{% set l = l + [9] %}{{ l }}", "{% if m is iterable and m is not mapping and m is not string %}list{% endif %}",
    "{% for x in m|selectattr('role', 'equalto', 'user') %}{{ loop.index }}{{ x.content }}{{ loop.last }}{% endfor %}", "{% set g = l|select('odd') %}{{ g|list }}{{ g|list }}", "{% set g = w|map('upper') %}{{ 'A' in g }}{{ g|join }}", "{% for x in l|reverse %}{{ x }}{% endfor %}", "{% for x in l[::-1] %}{{ x }}{{ loop.revindex0 }}{% endfor %}", "{% set j = joiner('; ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
    "{{ s }}\n{%- set x = 1 %}\n{%- set y = 2 -%}\n  {{ x + y }}", "{% set ns = namespace(found=false, l=[]) %}{% for x in w %}{% if x == 'A' %}{% set ns.found = true %}{% set ns.l = ns.l + [x] %}{% endif %}{% endfor %}{{ ns.found }}{{ ns.l }}", "{% set ns = namespace(a=1) %}{{ ns.b }}|{{ ns.b is defined }}|{{ ns.a }}", "{% set ns = namespace(a=1) %}{% set ns._b = 1 %}",
    "{% macro outer(x) %}{% macro inner(y) %}{{ x }}{{ y }}{% endmacro %}{{ inner(2) }}{% endmacro %}{{ outer(1) }}", "{% macro p(d, depth=0) %}{% for k, v in d.items() %}{{ '  ' * depth }}{{ k }}{% if v is mapping %}:\n{{ p(v, depth + 1) }}{% else %}={{ v }}\n{% endif %}{% endfor %}{% endmacro %}{{ p({'a': {'b': 1, 'c': {'d': 2}}, 'e': 3}) }}", "{{ strftime_now is defined }}{{ raise_exception is defined }}", "{% if no %}{{ s|nope }}{% endif %}ok", "{{ s if yes else s|nope }}", "{% if yes %}{{ s|nope }}{% endif %}",
    "{%- for message in m %}\n    {%- if message.role == 'user' %}\n        {{- '<u>' + message.content }}\n    {%- else %}\n        {{- '<a>' + message.content }}\n    {%- endif %}\n{%- endfor %}\n{%- if yes %}\n    {{- '<a>\\n' }}\n{%- endif %}\n",
    "{% for x in l %}\n{{ x }}\n{% endfor %}\nend\n", "{% for x in l -%}\n{{ x }}\n{%- endfor %}\nend\n\n", "\t{% if yes %}\t\n\tx\n\t{% endif %}\t\n", "a\u00a0{%- if yes %} b{% endif %}", "a \u2003\n {%- if yes %}x{% endif %}", "a\x1f {%- if yes %}x{% endif %}\x0b{{- s }}", "日本{{ s }}{% set é = 1 %}{{ é }}", "{{ s.split(', ')[0].lower() }}{% set a, b = s.split(', ') %}{{ b }}{{ a }}",
]

KEEP_MESSAGE = ("TemplateError",)


def case(template):
    out = {"template": template}
    try:
        out["expected"] = _compile_jinja_template(template).render(**json.loads(json.dumps(DEFAULT)))
    except Exception as err:  # whatever Python or Jinja complains of
        out["error"] = "raise_exception" if type(err).__name__ in KEEP_MESSAGE else type(err).__name__
        out["message"] = str(err)
    return out


sys.stdout.write(json.dumps({"vars": DEFAULT}, ensure_ascii=False) + "\n")
for line in EXPR.strip("\n").split("\n"):
    if line.endswith("\\"):
        pending = line
        continue
    if line == "b'":
        line = pending + "\n" + line
    sys.stdout.write(json.dumps(case("{{ " + line + " }}"), ensure_ascii=False) + "\n")
for template in BLOCKS:
    sys.stdout.write(json.dumps(case(template), ensure_ascii=False) + "\n")
