#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# bench_page.sh DIRECTORY: the table and the page of a benchmark, made of samples of a real run (tests/data/samples.csv), of some of
# them, and of what is no sample.
set -euo pipefail
src=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
samples=$src/tests/data/samples.csv
dir=$1/bench_page

fail() { echo "bench_page: $*" >&2; exit 1; }

for tool in gnuplot python3; do
	[ -n "$(command -v "$tool")" ] || { echo "skipped: there is no $tool"; exit 77; }
done
rm -rf "$dir"
mkdir -p "$dir"

# page NAME: makes the page of DIR/NAME/samples.csv; what it says is in DIR/NAME.out and DIR/NAME.err.
page() { python3 -B "$src/benchmarks/lib/html" "$dir/$1/samples.csv" >"$dir/$1.out" 2>"$dir/$1.err"; }

has() { grep -qF -- "$2" "$dir/$1/index.html" || fail "the page of $1 does not have '$2'"; }

# sentence NAME TEXT: one line, with TEXT in it, and nothing of Python's.
sentence()
{
	[ "$(wc -l <"$dir/$1.err")" = 1 ] || fail "$1: not one sentence: $(cat "$dir/$1.err")"
	grep -qF -- "$2" "$dir/$1.err" || fail "$1: '$(cat "$dir/$1.err")' does not say '$2'"
}

# Of everything: the charts, the captions, the tables, and that the page is named last.
mkdir "$dir/all"
cp "$samples" "$dir/all/"
page all || fail "no page: $(cat "$dir/all.err")"
[ "$(tail -n 1 "$dir/all.out")" = "$dir/all/index.html" ] || fail "the last line is not the page's path"
[ ! -s "$dir/all.err" ] || fail "unexpected words: $(cat "$dir/all.err")"
for chart in {bw-write,bw-veth-write,latency-write,cold-rxe_odp,cold-rxe,residency,reg}-uml-fast odpfs-{memory,speed}-stable; do
	for theme in '' -dark; do
		png=$chart$theme.png
		[ "$(head -c 8 "$dir/all/$png" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] || fail "$png is no PNG"
		has all "\"$png\""
	done
done
[ "$(grep -c '<figure>' "$dir/all/index.html")" = 9 ] || fail "not nine charts"
has all '<th>message</th><th>QPs</th><th>ours, pinned</th><th>ours, ODP</th><th>ours without packets, pinned</th>'
has all '<tr><td>1 MiB</td><td>1</td><td>2071</td><td>2014</td><td>18142</td><td>18682</td><td>1323</td><td>906.5</td></tr>'
has all '<tr><td>50 %</td><td>23.0 (22.0..24.1)</td><td>205.2 (202.8..207.6)</td><td>24.1 (24.1..24.1)</td>'
has all '<tr><td>4 KiB</td><td>1 MiB</td><td>24.5 (23.6..25.3)</td><td>3.63 (3.19..4.07)</td><td>72.9 (53.6..92.1)</td>'
has all '<tr><td>1 GiB</td><td>2093</td></tr>'
has all '<tr><td>1 GiB</td><td>0</td><td>2048</td></tr>'
has all 'Linux 7.3.4; 2026-11-27'
has all 'error bars go from the least to the greatest'
[ "$(grep -c "Not in these samples" "$dir/all/index.html")" = 1 ] || fail "the page lacks what is there, or has posts"
! grep -qE '<script|https?:' "$dir/all/index.html" || fail "the page names another place"
python3 -B "$src/benchmarks/lib/report" "$samples" >"$dir/table.txt"
[ "$(grep -c '^## ' "$dir/table.txt")" = 9 ] || fail "the text does not have 9 tables"

# Of some: a sentence for what is not there, and no chart of it, nor one that an earlier run left.
mkdir "$dir/some"
cp "$dir/all/residency-uml-fast.png" "$dir/some/"
grep -E '^time|,bw,' "$samples" >"$dir/some/samples.csv"
page some || fail "no page of some samples: $(cat "$dir/some.err")"
[ "$(grep -c 'Not in these samples' "$dir/some/index.html")" = 5 ] || fail "not five subjects are missing"
[ "$(cd "$dir/some" && echo ./*.png)" = './bw-write-uml-fast-dark.png ./bw-write-uml-fast.png' ] || fail "wrong charts"

# Beside siw, of which those samples have nothing: charts, and ratios round by round.
mkdir "$dir/siw"
{
	head -n 1 "$samples"
	echo '2026-11-28T00:00:00Z,uml-fast,7.3.4,setup,rxe_odp,same crc,-,0,1,1,1,-,1.00'
	for sample in rxe_odp,pinned,1,400 siw,pinned,1,200 rxe,pinned,1,100 rxe_odp,pinned,2,900 siw,pinned,2,300 rxe,pinned,2,100 \
		rxe_odp,odp,1,300 rxe_odp,odp,2,300; do
		IFS=, read -r driver mode round value <<<"$sample"
		for op in write read; do
			echo "2026-11-28T00:00:00Z,uml-fast,7.3.4,siw,$driver,$op,$mode,65536,1,$round,$value,MB/s,1.00"
		done
	done
} >"$dir/siw/samples.csv"
page siw || fail "no page of siw: $(cat "$dir/siw.err")"
has siw '<tr><td>64 KiB</td><td>1</td><td>650.0 (400.0..900.0)</td><td>300.0 (300.0..300.0)</td><td>250.0 (200.0..300.0)</td><td>100.0 (100.0..100.0)</td></tr>'
[ "$(cd "$dir/siw" && echo ./*.png)" = "$(echo ./siw-{read,write}-uml-fast{-dark,}.png)" ] || fail "wrong charts of siw"
python3 -B "$src/benchmarks/lib/report" "$dir/siw/samples.csv" >"$dir/siw.table"
grep -E '^\| write \| 64 KiB \| 1 ' "$dir/siw.table" | grep -qF '| 2.5 (2..3)         | 1.25 (1..1.5)   | 6.5 (4..9)         | 2.5 (2..3) |' ||
	fail "wrong ratios to siw: $(cat "$dir/siw.table")"

# Of one process and of two: ratios round by round, memcpy beside either place, and a failure in words.
mkdir "$dir/cpus"
{
	head -n 1 "$samples"
	for sample in cpus,cpu,memcpy,1,1,50 cpus,cpu,memcpy,2,1,90 cpus,rxe_odp,write,1,1,100 cpus,rxe_odp,write,2,1,190 cpus,rxe_odp,write,1,2,400 \
		cpus,rxe_odp,write,2,2,800 cpus-veth,rxe,read,1,1,10 cpus-veth,rxe,read,2,1,12 cpus-local-veth,rxe_odp,send,1,1,20; do
		IFS=, read -r part driver what qps round value <<<"$sample"
		echo "2026-11-28T00:00:00Z,uml-fast,7.3.4,$part,$driver,$what,odp,65536,$qps,$round,$value,MB/s,1.00"
	done
	echo '2026-11-28T00:00:00Z,uml-fast,7.3.4,cpus-local-veth,rxe_odp,send,odp,65536,2,1,,retry exceeded,1.00'
} >"$dir/cpus/samples.csv"
python3 -B "$src/benchmarks/lib/report" "$dir/cpus/samples.csv" | tr -s ' ' >"$dir/cpus.table"
while read -r times line; do
	[ "$(grep -cxF -- "$line" "$dir/cpus.table")" = "$times" ] || fail "not $times times '$line': $(cat "$dir/cpus.table")"
done <<-'LINES'
	1 | ours by packets | write | 64 KiB | 250.0 (100.0..400.0) | 495.0 (190.0..800.0) | 1.95 (1.9..2) |
	1 | rxe | read | 64 KiB | 10.0 | 12.0 | 1.2 |
	1 | ours without packets | send | 64 KiB | 20.0 | retry exceeded | - |
	2 | memcpy | | 64 KiB | 50.0 | 90.0 | 1.8 |
LINES

# Names that are markup, a command, or a path.
mkdir "$dir/names"
# shellcheck disable=SC2016
sed 's|,uml-fast,|,../<b>`touch x`"$(touch y),|' "$samples" | grep -E '^time|,bw,' >"$dir/names/samples.csv"
page names || fail "no page of strange names: $(cat "$dir/names.err")"
has names '&lt;b&gt;'
! grep -qF '<b>' "$dir/names/index.html" || fail "markup of a name is in the page"
for name in x y; do
	[ ! -e "$dir/names/$name" ] || fail "a name was run as a command"
done

# Nothing, its heading alone, garbage, a line that ends early, and a value that is none.
bad()
{
	mkdir "$dir/$1"
	cat >"$dir/$1/samples.csv"
	! page "$1" || fail "there is a page of $1"
	sentence "$1" "$2"
	[ ! -e "$dir/$1/index.html" ] || fail "there is a page of $1"
	! python3 -B "$src/benchmarks/lib/report" "$dir/$1/samples.csv" >"$dir/$1.out" 2>"$dir/$1.err" || fail "there is a table of $1"
	sentence "$1" "$2"
}
bad empty 'line 1, is no sample' </dev/null
bad heading 'has no sample' < <(head -n 1 "$samples")
bad garbage 'is no sample' < <(gzip <"$samples")
bad cut 'line 9, is no sample' < <(head -n 9 "$samples" | sed '9s/,[^,]*,[^,]*$//')
bad word 'line 3, is no sample' < <(head -n 5 "$samples" | sed '3s/[^,]*$/busy/')

# Without gnuplot, or with one that fails: the page has the tables.
mkdir "$dir/none" "$dir/broken"
cp "$samples" "$dir/none/"
cp "$samples" "$dir/broken/"
! GNUPLOT=/nonexistent/gnuplot page none || fail "no word of the missing gnuplot"
sentence none 'install Debian'"'"'s gnuplot-nox'
! GNUPLOT=false page broken || fail "no word of the gnuplot that fails"
sentence broken 'gnuplot failed'
for name in none broken; do
	has $name 'There are no charts'
	has $name '<td>1 GiB</td>'
	! grep -q '<img' "$dir/$name/index.html" || fail "$name: a chart that is not there"
done
