#!/usr/bin/env python3
"""Makes fixtures/spectra/*.csv: emissions per decay that tests and benchmarks of the Monte Carlo
engine start from, independent of the program's own decay data.

    python scripts/monte_carlo_spectra.py DIR      # DIR holds ENSDF decay radiation as CSV (NNDC)

Beta spectra: Fermi function of a point nucleus at the nuclear radius, allowed shape, and for 90Y the
unique first-forbidden shape factor lambda_2 p^2 + q^2. Needs numpy and scipy.
"""
import csv
import pathlib
import sys

import numpy as np
from scipy.special import loggamma

ROOT = pathlib.Path(__file__).resolve().parent.parent
M = 510.99895
ALPHA = 1 / 137.035999
# file, name, parent level, minimal intensity of a line (percent)
NUCLIDES = [("Lu-177", "lu177", 0.0), ("Y-90", "y90", 0.0), ("I-131", "i131", 0.0)]
THRESHOLD_PERCENT = 0.01
POINTS = 60


def spectrum(z_daughter, a, end_kev, unique):
    t = np.linspace(0, end_kev, 2001)[1:-1]
    w, w0 = 1 + t / M, 1 + end_kev / M
    p = np.sqrt(w * w - 1)
    g = np.sqrt(1 - (ALPHA * z_daughter) ** 2)
    y = ALPHA * z_daughter * w / p
    radius = 1.2 * a ** (1 / 3) / 386.159
    ln_f = 2 * (g - 1) * np.log(2 * p * radius) + np.pi * y + 2 * (loggamma(g + 1j * y).real - loggamma(2 * g + 1).real)
    n = np.exp(ln_f) * p * w * (w0 - w) ** 2
    if unique:
        # lambda_2 = L_1 / L_0 of Behrens and Buehring
        g2 = np.sqrt(4 - (ALPHA * z_daughter) ** 2)
        f1 = 36 * 16 * (2 * p * radius) ** (2 * (g2 - 2)) * np.exp(np.pi * y + 2 * (loggamma(g2 + 1j * y).real - loggamma(2 * g2 + 1).real))
        f0 = 4 * np.exp(ln_f)
        n *= p * p * f1 / f0 * (2 + g2) / 4 / ((1 + g) / 2) + (w0 - w) ** 2
    n /= np.trapezoid(n, t)
    return t, n


def main(folder):
    out_dir = ROOT / "fixtures" / "spectra"
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, short, level in NUCLIDES:
        rows = [r for r in csv.DictReader(open(pathlib.Path(folder) / f"{name}.csv"))
                if float(r["parent_level_keV"]) == level and r["decay_mode"] == "B-"]
        z, a = int(rows[0]["Z"]), int(rows[0]["A"])
        branches = [(float(r["end_point_keV"]), float(r["intensity_pct"]) / 100) for r in rows if r["rad_type"].startswith("beta")]
        end = max(b[0] for b in branches)
        grid = np.concatenate([[0.0], end * (np.arange(1, POINTS + 1) / POINTS)])
        density = np.zeros_like(grid)
        mean = 0.0
        for q, i in branches:
            t, n = spectrum(z + 1, a, q, name == "Y-90" and q > 2000)
            mean += i * np.trapezoid(t * n, t)
            # A beta spectrum ends finite at T = 0.
            density += i * np.interp(grid, np.concatenate([[0], t, [q]]), np.concatenate([[n[0]], n, [0]]), right=0.0)
        # The coarse table keeps number and mean energy: tilt by a + bT.
        def moments(f):
            fine = np.linspace(0, end, 60001)
            v = np.interp(fine, grid, f)
            return np.array([np.trapezoid(v, fine), np.trapezoid(v * fine, fine)])
        target = np.array([sum(b[1] for b in branches), mean])
        ab = np.linalg.solve(np.array([moments(density), moments(density * grid)]).T, target)
        density *= ab[0] + ab[1] * grid
        local, lines = 0.0, []
        for r in rows:
            kind = {"ce": "electron", "auger": "electron", "gamma": "photon", "xray": "photon"}.get(r["rad_type"])
            if kind is None:
                continue
            e, i = float(r["energy_keV"]), float(r["intensity_pct"])
            if e < 10 or i < THRESHOLD_PERCENT:
                local += e * i / 100
            else:
                lines.append((kind, e, i / 100))
        with open(out_dir / f"{short}.csv", "w", encoding="ascii") as out:
            out.write(f"# {name}, ENSDF (NNDC), made by scripts/monte_carlo_spectra.py; beta mean {mean:.2f} keV per decay\n")
            out.write("# beta: energy keV, density per keV and decay; electron, photon: energy keV, number per decay;\n")
            out.write("# local: energy keV per decay of what is too soft or too rare to list\n")
            out.write("kind,energy_kev,amount\n")
            for e, d in zip(grid, density):
                out.write(f"beta,{e:.4f},{max(d, 0):.6e}\n")
            for kind, e, i in lines:
                out.write(f"{kind},{e:.3f},{i:.6g}\n")
            out.write(f"local,{local:.5f},1\n")
        print(name, "beta", round(mean, 2), "CE+Auger", round(sum(e * i for k, e, i in lines if k == "electron"), 2),
              "photon", round(sum(e * i for k, e, i in lines if k == "photon"), 2), "local", round(local, 3))


if __name__ == "__main__":
    main(sys.argv[1])
