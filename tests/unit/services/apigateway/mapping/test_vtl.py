"""Mapping templates: Velocity as API Gateway renders it."""

import time
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway.mapping.effort import TemplateError
from cumulet.services.apigateway.mapping.variables import Body, UnreadableBody, names
from cumulet.services.apigateway.mapping.vtl import compile_template

BODY = b'{"name": "Ann", "n": 2, "tags": ["a", "b"], "deep": {"x": {"y": true}}, "none": null, "text": "it\'s \\"q\\""}'
PARAMETERS = {"path": {"id": "7"}, "querystring": {"q": "1"}, "header": {"X-One": "h"}}


def render(template: str, body: bytes = BODY, **context: Any) -> str:
    return compile_template(template).render(names(Body(body), PARAMETERS, context, {"color": "blue"}))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        # references
        ("plain # text $ 5 #1 \\$x", "plain # text $ 5 #1 $x"),
        ("[$nothing][$!nothing][${nothing}][$!{nothing}]", "[][][][]"),
        ("$stageVariables.color ${stageVariables.color}s $stageVariables.get('color')", "blue blues blue"),
        ("$input.params('id')-$input.params('q')-$input.params('x-one')-$input.params('no')", "7-1-h-"),
        ("$input.params().header.get('X-One') $input.params('path')", "h {id=7}"),
        ("$input.path('$.name') $input.path('$.tags[1]') $input.path('$.none')|$input.path('$.no')", "Ann b |"),
        ("$input.json('$.deep') $input.json('$.name') $input.json('$.no')", '{"x":{"y":true}} "Ann" ""'),
        ("$input.path('$.deep') $input.path('$.tags')", '{x={y=true}} ["a","b"]'),
        ("$input.path('$.tags[*]') $input.path('$..y') $input.path(\"$['name']\")", '["a","b"] [true] Ann'),
        ("$input.path('$').tags.size() $input.path('$').tags.get(0) $input.path('$').tags[1]", "2 a b"),
        ('[$util.escapeJavaScript($nothing)]#set($v = "kept")#set($v = $util.escapeJavaScript($nothing))$v', "[]kept"),
        # directives
        ('#set($x = "v")\n[$x]', "[v]"),
        ("#set($x = 'v $y')$x", "v $y"),
        ('#set($y = 3)#set($x = "v ${y}!")$x', "v 3!"),
        ("#set($x = 1)#set($x = $nothing)$x", "1"),
        ("#if($input.params('id') == '7')yes#{else}no#end", "yes"),
        ("#if($nothing)a#elseif($input.path('$.n') > 1)b#{else}c#end", "b"),
        ("#if(!$nothing && ($input.path('$.n') == 2 || false))\n  x\n#end\nz", "  x\nz"),
        ("#foreach($t in $input.path('$.tags'))$foreach.index:$t#if($foreach.hasNext),#end#end", "0:a,1:b"),
        ("#foreach($k in $input.params().keySet())$k #end", "path querystring header "),
        ("#foreach($e in $input.params('path').entrySet())$e.key=$e.value#end", "id=7"),
        ("#foreach($i in [1..3])$i#if($i == 2)#break#end#end", "12"),
        ("#foreach($i in [3..1])$velocityCount#end", "123"),
        ("a##comment\nb#* more *#c#[[ $raw #if ]]#", "abc $raw #if "),
        ("a#stop b", "a"),
        # expressions
        ("#set($x = 7 / 2)$x #set($x = 7 % 4)$x #set($x = 2 + 3 * 4)$x #set($x = (2 + 3) * 4)$x", "3 3 14 20"),
        ("#set($x = 1 / 0)[$x]", "[]"),
        ("#set($m = {'a': 1, \"b\": [1, 2]})$m.b.get(1) $m.keySet() $!m.put('c', 3)$m.c", '2 ["a","b"] 3'),
        ("#set($l = [])#set($ok = $l.add('x'))$l.size() $ok $l.contains('x') $l.isEmpty()", "1 true true false"),
        (
            "#set($s = 'a,b,,')$s.split(',') $s.length() $s.replace(',', ';') $s.toUpperCase()",
            '["a","b"] 5 a;b;; A,B,,',
        ),
        ("#set($s = 'a,b')$s.replaceAll('([ab])', 'é$1\\n') $s.replaceFirst('[ab]', '')", "éan,ébn ,b"),
        ("#set($s = 'a,b')$s.replaceAll(',', 'ü') $s.replaceAll(',', '$0$0')", "aüb a,,b"),
        (
            "#set($s = ',a,b,')$s.split('') $s.split('[,]') $s.split(',', 2)",
            '[",","a",",","b",","] ["","a","b"] ["","a,b,"]',
        ),
        ("#set($s = '')$s.split(',')#set($s = ',')$s.split(',')", '[""][]'),
        ("#set($s = 'abc')$s.substring(1) $s.indexOf('c') $s.equals('abc') $s.matches('a.c')", "bc 2 true true"),
        (
            "#set($I = 0)$I.parseInt('42') #set($n = $I.valueOf('-7') + 1)$n #set($D = 0.0)$D.parseDouble('1.5e1')",
            "42 -6 15.0",
        ),
        ("#if('1' == 1)same#end #if('a' != 'b' and not false)and#end", "same and"),
        # $util
        ("$util.escapeJavaScript($input.path('$.text'))", 'it\\\'s \\"q\\"'),
        ("$util.escapeJavaScript($input.path('$.text')).replaceAll(\"\\\\'\", \"'\")", 'it\'s \\"q\\"'),
        ("$util.urlEncode('a b/ü~*') $util.urlDecode('a+b%2F')", "a+b%2F%C3%BC%7E* a b/"),
        ("$util.base64Encode('hé') $util.base64Decode('aMOp')", "aMOp hé"),
        (
            "$util.base64Decode('eyJhIjoxfQ') $util.base64Decode('w7_DvQ') $util.base64Decode('a!GVs bG8=x')",
            '{"a":1} ÿý hello',
        ),
        ("[$util.base64Decode('')$util.base64Decode('!')$util.base64Decode('a')]$input.path('$.tags').count()", "[]2"),
        ('#set($o = $util.parseJson(\'{"a": [1, {"b": 2}]}\'))$o.a[1].b', "2"),
        ("$context.requestId $context.identity.sourceIp [$context.identity.user]", "r 1.2.3.4 []"),
    ],
)
def test_templates(template: str, expected: str) -> None:
    assert render(template, requestId="r", identity={"sourceIp": "1.2.3.4"}) == expected


def test_overrides_are_written_into_the_context() -> None:
    context: dict[str, Any] = {"responseOverride": {"header": {}}}
    template = "#set($context.responseOverride.status = 404)#set($context.responseOverride.header.x = 'v')"

    compile_template(template).render({"context": context})

    assert context["responseOverride"] == {"status": 404, "header": {"x": "v"}}


def test_an_empty_body_counts_as_an_empty_object() -> None:
    assert render("$input.json('$')|$input.path('$.x')|$input.body", b"") == "{}||"


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("1.0", "1.0"),
        ("-0.0", "-0.0"),
        ("0.001", "0.001"),
        ("0.00025", "2.5E-4"),
        ("9999999.5", "9999999.5"),
        ("-12345678.9", "-1.23456789E7"),
        ("1e21", "1.0E21"),
        ("1.5e300", "1.5E300"),
        ("10000000", "10000000"),
    ],
)
def test_numbers_are_printed_as_java_prints_them(given: str, printed: str) -> None:
    assert render("$input.path('$')", given.encode()) == printed


@pytest.mark.parametrize("given", ["", "a", "1_0", "1.0", "9" * 20])
def test_what_java_would_not_read_as_a_number(given: str) -> None:
    with pytest.raises(TemplateError):
        render(f"#set($I = 0)$I.parseInt('{given}')")


def test_a_body_that_is_no_json_is_only_missed_when_it_is_asked_for() -> None:
    assert render("$input.body", b"{x") == "{x"
    for broken in (b"{x", b" [1,", b'"x', b'{"a": \xff}'):
        with pytest.raises(UnreadableBody):
            render("$input.json('$')", broken)


@pytest.mark.parametrize(
    ("template", "body", "expected"),
    [
        ("$input.json('$') $input.path('$').length()", b"a=1&b=2", '"a=1&b=2" 7'),
        ("[$input.path('$.a')]$input.json('$.a')", b"<a>b</a>", '[]""'),
        (
            "#foreach($pair in $input.path('$').split('&'))#set($kv = $pair.split('='))"
            "$util.urlDecode($kv[0]):#if($kv.size() > 1)$util.urlDecode($kv[1])#end;#end",
            b"name=Ann&mail=a%40b.example&note=",
            "name:Ann;mail:a@b.example;note:;",
        ),
    ],
)
def test_a_body_that_does_not_begin_like_json_is_a_text(template: str, body: bytes, expected: str) -> None:
    assert render(template, body) == expected


@pytest.mark.parametrize(
    "template",
    [
        "#if(true)",
        "#end",
        "#foreach($x in [1])",
        "#set($x)",
        "#set(1 = 2)",
        "$input.json('$",
        "${x",
        "#if((1)x#end",
        "#* open",
        "#if(" + "(" * 2000 + ")",
        "#if(true)" * 500 + "#end" * 500,
        "#set($x = " + "!" * 5000 + "true)",
    ],
)
def test_what_cannot_be_read(template: str) -> None:
    with pytest.raises(TemplateError):
        compile_template(template)


@pytest.mark.slow
@pytest.mark.parametrize(
    "template",
    [
        "#foreach($i in [1..999999999])x#end",
        "#foreach($a in [1..999])#foreach($b in [1..999])x#end#end",
        "#set($x = 'aaaaaaaaaaaaaaaa')" + "#set($x = $x + $x)" * 40,
        "#set($x = 'aaaaaaaaaaaaaaaa')" + '#set($x = "$x$x")' * 40,
        "#set($x = 'aaaa')" + "#set($x = $x.replace('a', 'aaaaaaaaaaaaaaaa'))" * 12,
        "#set($x = [1])" + "#set($y = $x.addAll($x))" * 60,
        "#set($m = {})#set($z = $m.put('m', $m))$m",
        "#set($l = [1])#set($z = $l.add($l))$l.contains($l)",
        "#set($x = [1])" + "#set($x = [$x, $x])" * 60 + "$x",
        "#set($x = [1])#set($y = [1])" + "#set($x = [$x, $x])#set($y = [$y, $y])" * 60 + "#if($x == $y)same#end",
        "#set($x = 'a')" + "#set($x = $x.replaceAll('[a]', 'aaaaaaaaaa'))" * 8,
        "#set($x = 'a')" + "#set($x = $x.replaceAll('a', 'aaaaaaaaaa'))" * 8,
        "#set($x = 'aaaaaaaaaaaaaaaa')" + "#set($x = $x + $x)" * 19 + "$x.split('[a]').size()",
        "#set($x = 'aaaaaaaaaaaaaaaa')"
        + "#set($x = $x + $x)" * 18
        + "#foreach($i in [1..900])#set($y = $x.toUpperCase())#end",
        "#set($x = 'aaaaaaaaaaaaaaaa')"
        + "#set($x = $x + $x)" * 18
        + "#set($y = $x.toUpperCase())#foreach($i in [1..900])#if($x == $y)#end#end",
    ],
)
def test_template_bombs_end(template: str) -> None:
    begun = time.process_time()
    with pytest.raises(TemplateError):
        render(template)
    assert time.process_time() - begun < 30, "what has no bound takes minutes"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("#macro(f $x)[$x]#end#f(1)#f('b')", "[1][b]"),
        ("#f($stageVariables)\n!#macro( f $m )\n#foreach($k in $m.keySet())$k=$m.get($k)#end\n#end\n", "color=blue!"),
        ("#macro(f $x $y)${x}-$y;#end#f('a' 'b')#f( 'a', 'b' )#f([1] )#f()#f(1 2 3)", "a-b;a-b;[1]-;-;1-2;"),
        ("#set($x = 1)#macro(f $x)$x#set($x = 3)#set($y = 4)#end#f(2)$x$y", "214"),
        ("#macro(f $n)$n#if($n < 3)#f($n2)#end#end#set($n2 = 3)#f(1)", "13"),
        ("#macro(f)a#break()b#end#f()c", "ac"),
        ('#macro(f $x)<$x>#end#set($s = "in #f(1)")$s', "in <1>"),
        ("## #macro(f\n#f(1) #g(2) #f", "#f(1) #g(2) #f"),
        ("#{macro}(f)x#end#{f}()", "x"),
        ("#@f #@f(1) a#@b", "#@f #@f(1) a#@b"),
        ("#define($d)[$x]#end#set($x = 1)$d#set($x = 2)${d}", "[1][2]"),
        ("#define( $d )\n$x\n#end\n#set($x = 'a')$d.length() $!d|", "2 a\n|"),
        ("#define($d)a#break()b#end${d}c#if($d)d#end", "acd"),
    ],
)
def test_macros_and_defined_blocks(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    "template",
    [
        "#macro(f)#f()#end#f()",
        "#define($d)$d#end$d",
        "#macro(f)#g()#end#macro(g)#f()#end#f()",
        "#macro(f $x)#foreach($i in [1..900])$x#end#end#define($d)#f($x)#f($x)#f($x)#end#foreach($j in [1..900])$d#end",
        "#macro(f",
        "#macro()x#end",
        "#macro(set)x#end",
        "#macro(f x)y#end",
        "#macro(f)",
        "#define(d)x#end",
        "#define($d)",
        "#macro(f)#end#f(",
    ],
)
def test_macros_that_never_end(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template)


@pytest.mark.parametrize(
    "template", ["#macro(f)#end#@f()a#end", "#parse('x')", "#evaluate('x')", "$input.path('$.a.sum()')"]
)
def test_what_is_not_here_is_refused_by_name(template: str) -> None:
    with pytest.raises(NotImplementedHere):
        render(template)


def test_a_regular_expression_takes_linear_time() -> None:
    text = "a" * 100_000
    assert render(f"#set($s = '{text}!')$s.matches('(a+)+') $s.matches('a*a*a*a*b')") == "false false"


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(?<!a)b"])
def test_what_is_not_linear_is_refused(pattern: str) -> None:
    with pytest.raises(NotImplementedHere):
        render(f"#set($s = 'a')$s.matches('{pattern}')")


def test_replacements_and_parts_are_javas() -> None:
    assert render("#set($s = 'ab1c')$s.replaceAll('([a-z])', '<$1>') $s.split('(1)') $s.split('b', 1)") == (
        '<a><b>1<c> ["ab","c"] ["ab1c"]'
    )
