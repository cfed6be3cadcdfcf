#!/usr/bin/env python3
"""Draws the figures of docs/methods/monte-carlo.md from what tests and benchmark print.

    cargo test --test monte_carlo -- --nocapture --test-threads=1 > tests.txt
    cargo bench --bench monte_carlo > bench.txt
    python3 scripts/monte_carlo_figures.py tests.txt bench.txt
"""
import math
import pathlib
import re
import sys

OUT = pathlib.Path(__file__).resolve().parent.parent / "docs" / "methods" / "figures"
INK, GRID, OURS, THEIRS, BAND = "#222", "#ddd", "#0b62a4", "#c8553d", "#eaf1f7"
STYLE = 'font-family="DejaVu Sans, Arial, sans-serif" font-size="12" fill="#222"'


def text(x, y, s, anchor="start", size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{s}</text>'


def line(x1, y1, x2, y2, colour, width=1.0):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def write(name, width, height, parts):
    OUT.mkdir(parents=True, exist_ok=True)
    body = "\n".join(parts)
    (OUT / name).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" {STYLE}>\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n{body}\n</svg>\n', encoding="utf-8")


def deviations(name, title, rows, span):
    """rows: (label, percent, standard error percent, tolerance percent)."""
    left, top, step, width = 190, 46, 20, 640
    right, height = width - 20, 46 + 20 * len(rows) + 40
    scale = (right - left) / (2 * span)
    x = lambda p: left + (max(-span, min(span, p)) + span) * scale
    parts = [text(12, 22, title, size=14)]
    for n, (label, percent, error, tolerance) in enumerate(rows):
        y = top + n * step + step / 2
        parts.append(f'<rect x="{x(-tolerance):.1f}" y="{y - 8:.1f}" width="{x(tolerance) - x(-tolerance):.1f}" height="16" fill="{BAND}"/>')
        parts.append(text(left - 8, y + 4, label, "end"))
        parts.append(line(x(percent - error), y, x(percent + error), y, OURS, 2))
        parts.append(f'<circle cx="{x(percent):.1f}" cy="{y:.1f}" r="4" fill="{OURS}"/>')
    bottom = top + len(rows) * step
    every = 5 if span > 8 else 1
    outer = int(span) // every * every
    ticks = range(-outer, outer + 1, every)
    for tick in ticks:
        parts.append(line(x(tick), top, x(tick), bottom, INK if tick == 0 else GRID, 1 if tick == 0 else 0.6))
        parts.append(text(x(tick), bottom + 16, f"{tick:+d}" if tick else "0", "middle"))
    parts.append(text((left + right) / 2, bottom + 33, "difference from the published value, % (bar: standard error; band: tolerance)", "middle"))
    write(name, width, height, parts)


def slab(rows):
    """rows: (voxel, ours, error percent, published)."""
    left, top, right, bottom = 70, 46, 620, 330
    x = lambda v: left + (v + 2.5) / 8 * (right - left)
    y = lambda d: bottom - (math.log10(d) + 2.5) / 3.0 * (bottom - top)
    parts = [text(12, 22, "90Y voxel in water beside lung (0.26 g/ml): dose per decay along x", size=14),
             f'<rect x="{x(0.5):.1f}" y="{top}" width="{right - x(0.5):.1f}" height="{bottom - top}" fill="{BAND}"/>',
             text(x(0.55), top + 16, "lung"), text(x(-2.4), top + 16, "water")]
    for power in (-2, -1, 0):
        parts.append(line(left, y(10 ** power), right, y(10 ** power), GRID))
        parts.append(text(left - 6, y(10 ** power) + 4, f"10<tspan dy='-4' font-size='9'>{power}</tspan>", "end"))
    path = " ".join(f"{x(v):.1f},{y(d):.1f}" for v, _, _, d in rows)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{THEIRS}" stroke-width="1.5"/>')
    for v, ours, error, _ in rows:
        parts.append(line(x(v), y(ours * (1 - error / 100)), x(v), y(ours * (1 + error / 100)), OURS, 2))
        parts.append(f'<circle cx="{x(v):.1f}" cy="{y(ours):.1f}" r="4" fill="{OURS}"/>')
        parts.append(text(x(v), bottom + 16, f"{v:+d}" if v else "0", "middle"))
    parts.append(text((left + right) / 2, bottom + 34, "voxel (3 mm) from the source; points: grayd, line: published; mGy/(MBq s)", "middle"))
    write("monte-carlo-lung-slab.svg", 640, bottom + 46, parts)


def speed(rows):
    """rows: (label, times EGSnrc)."""
    left, top, step, right = 170, 46, 24, 620
    widest = max(r[1] for r in rows)
    x = lambda v: left + v / (1.1 * widest) * (right - left)
    parts = [text(12, 22, "Decays per CPU second and core, as a multiple of EGSnrc's", size=14)]
    bottom = top + step * len(rows)
    for tick in (5, 10, 20, 30):
        if tick < 1.1 * widest:
            parts.append(line(x(tick), top, x(tick), bottom, GRID))
            parts.append(text(x(tick), bottom + 16, f"{tick}x", "middle"))
    for n, (label, times) in enumerate(rows):
        y = top + n * step
        parts.append(text(left - 8, y + 16, label, "end"))
        parts.append(f'<rect x="{left}" y="{y + 4}" width="{x(times) - left:.1f}" height="16" fill="{OURS}"/>')
        parts.append(text(x(times) + 6, y + 16, f"{times:.1f}"))
    write("monte-carlo-speed.svg", 640, bottom + 30, parts)


def main(tests, bench):
    tests, bench = pathlib.Path(tests).read_text(), pathlib.Path(bench).read_text()
    # The first line that a test prints follows its name.
    tests = re.sub(r"^test \S+ \.\.\. ", "", tests, flags=re.M)
    tolerance = {"000": 1.5, "100": 3, "110": 4, "111": 10, "200": 10}
    s_values = []
    for m in re.finditer(r"^(\S+) (\S+) mm S\[(\d), (\d), (\d)\] \S+ ± (\S+) % EGSnrc \S+ (\S+) %", tests, re.M):
        where = m[3] + m[4] + m[5]
        s_values.append((f"{m[1]} {m[2]} mm S({where})", float(m[7]), float(m[6]), tolerance[where]))
    deviations("monte-carlo-s-values.svg", "Voxel S values against EGSnrc", s_values, 16)
    organs = [(f"{m[1]} {m[2]}", float(m[4]), float(m[3]), 3.0)
              for m in re.finditer(r"^ICRP male (\S+) \(.*?\) (\S+): \S+ ± (\S+) %, RADAR \S+ (\S+) %", tests, re.M)]
    organs += [(f"310 g sphere {m[1]}", float(m[3]), float(m[2]), 3.0)
               for m in re.finditer(r"^310 g sphere (\S+): \S+ ± (\S+) %, OLINDA \S+ (\S+) %", tests, re.M)]
    deviations("monte-carlo-organs.svg", "Self-doses: ICRP 110 male against RADAR, sphere against OLINDA", organs, 5)
    slab([(int(m[1]), float(m[2]), float(m[3]), float(m[4]))
          for m in re.finditer(r"^lung slab i = (\S+): (\S+) ± (\S+) %, published (\S+),", tests, re.M)])
    speed([(f"{m[1]} {m[2].lower()}", float(m[3])) for m in re.finditer(r"^(\S+)\s+(\w+): \d+ \d+ (\S+)$", bench, re.M)])


if __name__ == "__main__":
    main(*sys.argv[1:3])
