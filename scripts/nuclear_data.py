#!/usr/bin/env python3
"""Make config/nuclides/*.yaml from evaluated decay data (ENSDF, National Nuclear Data Center).

    python3 -m venv venv && venv/bin/pip install nucl-parquet paceENSDF xraylib duckdb
    venv/bin/python -c "import nucl_parquet; nucl_parquet.download()"
    venv/bin/python scripts/nuclear_data.py [--radiation DIR] [--icrp107]

Two distributions of the same evaluation are joined, both free to redistribute:

* nucl-parquet (MIT), table meta/ensdf/radiation: energies and absolute intensities of every
  radiation of one decay, as the NNDC computes them from ENSDF. --radiation names a folder with that
  table as *.parquet, or exported as one CSV per nuclide (`Lu-177.csv`, same columns);
* paceENSDF (BSD-3): half-lives, Q values, branching, forbiddenness of each beta transition,
  electron-capture shell fractions, level half-lives.

xraylib (BSD-3) gives the binding energies for the energy balance of the atomic shell: the list
above stops at mean K and L Auger lines, so what the vacancies release beyond it (M and outer
shells) is computed as the difference and kept as unlisted low-energy electrons.

--icrp107 prints the same means from ICRP Publication 107 (PyPI icrp107-database; its terms forbid
shipping it), as an outside check. Nothing of it is written.
"""

import argparse
import csv
import glob
import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "config" / "nuclides"

# The nuclides in therapy and imaging use, and their daughters down to a long-lived or stable one.
NUCLIDES = """P-32 F-18 Sc-47 Cu-64 Cu-67 Ga-68 Y-86 Sr-89 Zr-89 Y-90 Tc-99m Tc-99 In-111 I-123
I-124 I-131 Xe-131m Sm-153 Tb-161 Ho-166 Lu-177 Re-186 Re-188 Bi-207 Tl-207 Tl-208 Tl-209 Pb-209
Pb-211 Pb-212 Bi-211 Bi-212 Bi-213 Po-211 Po-212 Po-213 Po-215 Po-216 At-211 At-217 Rn-217 Rn-219
Rn-220 Fr-221 Ra-223 Ra-224 Ac-225 Th-227""".split()

SYMBOLS = (
    "n H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se"
    " Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy"
    " Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U"
).split()

# Where a later measurement has superseded the half-life of the evaluation.
HALF_LIFE_OVERRIDE = {
    "Tb-161": (
        6.953, 0.002, "d",
        "Duran et al., Appl. Radiat. Isot. 159 (2020) 109085; ENSDF 2011 has 6.89(2) d",
    ),
}
SECONDS = {"y": 31556925.2, "d": 86400.0, "h": 3600.0, "min": 60.0, "m": 60.0, "s": 1.0,
           "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}

# Lines below both are not listed; their energy stays in the totals (`unlisted_kev`).
MIN_INTENSITY, MIN_ENERGY_PER_DECAY_KEV = 1e-4, 1e-3
# Branches to daughters below this are left out (215Po beta 2.3e-6, 90mY ...).
MIN_BRANCH = 1e-5
# Isomers that live long beside their parent are nuclides of their own; shorter ones (89mY, 111mCd)
# are in equilibrium and stay in the parent's list. Level energies, keV.
ISOMER_OF = {"Tc-99m": 142.6836, "Xe-131m": 163.930}
FORBIDDENNESS = {
    "allowed": "allowed",
    "firstForbidden": "first-forbidden",
    "firstForbiddenUnique": "unique-first-forbidden",
    "secondForbidden": "second-forbidden",
    "secondForbiddenUnique": "unique-second-forbidden",
    None: "not-assigned",
}
MODE = {"betaMinusDecay": "beta-minus", "alphaDecay": "alpha",
        "electronCaptureBetaPlusDecay": "electron-capture-beta-plus"}
PACE_KEY = {"betaMinusDecay": "betaMinusDecay", "alphaDecay": "alphaDecay",
            "electronCaptureBetaPlusDecay": "betaPlusDecay"}


def split(name):
    symbol, mass = name.split("-")
    return SYMBOLS.index(symbol), int(mass.rstrip("m")), mass.endswith("m")


def number(x):
    try:
        return float(x)
    except (TypeError, ValueError):
        return 0.0


def binding_energies(z):
    """Electron binding energy by main shell, keV, sub-shells weighted by occupancy (xraylib)."""
    import xraylib

    def edges(shells):
        total = n = 0.0
        for shell, electrons in shells:
            try:
                total += electrons * xraylib.EdgeEnergy(z, shell)
                n += electrons
            except ValueError:
                pass
        return total / n if n else 0.0

    x = xraylib
    return {
        "K": edges([(x.K_SHELL, 2)]),
        "L": edges([(x.L1_SHELL, 2), (x.L2_SHELL, 2), (x.L3_SHELL, 4)]),
        "M": edges([(x.M1_SHELL, 2), (x.M2_SHELL, 2), (x.M3_SHELL, 4), (x.M4_SHELL, 4),
                    (x.M5_SHELL, 6)]),
        "N": edges([(x.N1_SHELL, 2), (x.N2_SHELL, 2), (x.N3_SHELL, 4)]),
    }


def pace_datasets(z, a, level):
    import paceENSDF

    base = Path(paceENSDF.__file__).parent / "ENSDF_JSON"
    found = []
    for path in sorted(glob.glob(str(base / f"j_input_{SYMBOLS[z]}{a}_*keV.json"))):
        data = json.loads(Path(path).read_text())
        if abs(number(data["levelEnergyParentDecay"]) - level) < 0.5:
            found.append(data)
    return found


def level_scheme_of(z, a):
    """A decay data set whose daughter is (z, a) and that knows the isomeric level."""
    import paceENSDF

    base = Path(paceENSDF.__file__).parent / "ENSDF_JSON"
    paths = sorted(glob.glob(str(base / f"j_input_*_{SYMBOLS[z]}{a}_*_0keV.json")))
    return [json.loads(Path(p).read_text()) for p in paths]


def radiation_rows(source, z, a):
    name = f"{SYMBOLS[z]}-{a}"
    csv_path = source / f"{name}.csv"
    if csv_path.exists():
        with csv_path.open() as handle:
            return list(csv.DictReader(handle))
    if any(source.glob("*.parquet")):
        import duckdb

        rel = duckdb.sql(f"SELECT * FROM read_parquet('{source}/*.parquet') WHERE Z={z} AND A={a}")
        names = rel.columns
        return [dict(zip(names, row)) for row in rel.fetchall()]
    return []


def tidy(lines, unlisted):
    """Sorts, drops what is below the thresholds and books its energy. Energies keV, per decay."""
    kept = []
    for energy, intensity, *label in sorted(lines):
        if intensity >= MIN_INTENSITY or energy * intensity >= MIN_ENERGY_PER_DECAY_KEV:
            kept.append([energy, intensity, *label])
        else:
            unlisted += energy * intensity
    return kept, unlisted


def beta_branches(datasets, mode, rows):
    """Transition type from paceENSDF for each branch of the radiation list, by end point."""
    kind = "beta-" if mode == "betaMinusDecay" else "beta+/EC"
    out = []
    known = []
    for data in datasets:
        if data["decayMode"] != mode:
            continue
        for level in data["levelScheme"]:
            for b in level.get(PACE_KEY[mode]) or []:
                end = b.get("endPointBetaMinusEnergy") or b.get("endPointBetaPlusEnergy")
                if end:
                    known.append((end, b["forbiddennessClassification"]))
    for row in rows:
        if row["rad_type"] != kind or not number(row["end_point_keV"]):
            continue
        end, mean = number(row["end_point_keV"]), number(row["energy_keV"])
        intensity = number(row["intensity_pct"]) / 100
        if intensity <= 0:
            continue
        near = min(known, key=lambda k: abs(k[0] - end), default=(0, None))
        shape = FORBIDDENNESS[near[1] if abs(near[0] - end) < 3 else None]
        out.append([end, intensity, shape, mean])
    return out


def normalised(lines, branch):
    """Intensities scaled to the branch, where the evaluation's own sum misses it (by up to 1 %)."""
    total = sum(line[1] for line in lines)
    return [[line[0], line[1] * branch / total, *line[2:]] for line in lines] if total else lines


def branching(datasets, mode):
    return sum(number(d["decaySchemeNormalization"][0]["normalizationRecord"][0][
        "multiplerBranchingRatio"]) for d in datasets if d["decayMode"] == mode)


def excitation(datasets):
    """Mean excitation energy of the daughter after alpha and beta- decay, keV per decay; None
    where electron capture takes part (its neutrino and the shell share the energy)."""
    mean = 0.0
    for data in datasets:
        if data["decayMode"] == "electronCaptureBetaPlusDecay":
            return None
        norm = data["decaySchemeNormalization"][0]["normalizationRecord"][0]
        label = "alphaIntensity" if data["decayMode"] == "alphaDecay" else "betaMinusIntensity"
        fed = [(number(b[label]), number(level["levelEnergy"])) for level in data["levelScheme"]
               for b in level.get(PACE_KEY[data["decayMode"]]) or []]
        total = sum(i for i, _ in fed)
        if total:
            mean += sum(i * e for i, e in fed) / total * number(norm["multiplerBranchingRatio"])
    return mean


def capture_vacancies(datasets):
    """Vacancies per decay left by electron capture, by shell."""
    out = dict.fromkeys("KLMN", 0.0)
    for data in datasets:
        if data["decayMode"] != "electronCaptureBetaPlusDecay":
            continue
        for level in data["levelScheme"]:
            for b in level.get("betaPlusDecay") or []:
                total = number(b["totalElectronCaptureBetaPlusIntensity"])
                total = total or number(b["electronCaptureIntensity"])
                f = b["calculatedAtomicShellElectronCaptureFractions"][0]
                plus = b["sumCalculatedAtomicShellElectronCaptureFractions"][0]
                for shell in "KLMN":
                    share = number(f[f"calculatedElectronCaptureFractionAtomicShell{shell}"])
                    if shell != "K":
                        share += number(plus[f"sumElectronCaptureFractionAtomicShellPlus{shell}"])
                    out[shell] += total / 100 * share
    return out


def atomic_shell(rows, conversion, capture, z_daughter):
    """K and L Auger and X lines, and the energy the vacancies release beyond them, keV."""
    binding = binding_energies(z_daughter)
    released = sum(capture[s] * binding[s] for s in "KLMN")
    released += sum(i * binding.get(shell, 0.0) for _, i, shell in conversion)
    xray = [[number(r["energy_keV"]), number(r["intensity_pct"]) / 100, r["rad_subtype"][3:]]
            for r in rows if r["rad_type"] == "xray"]
    auger = [[number(r["energy_keV"]), number(r["intensity_pct"]) / 100, r["rad_subtype"][6:]]
             for r in rows if r["rad_type"] == "auger"]
    listed = sum(line[0] * line[1] for line in xray + auger)
    return xray, auger, released - listed


def without_isomer(gamma, conversion, xray, auger, level, binding):
    """Takes the transitions of a long-lived isomeric level out of its parent's list."""
    kept_gamma = [g for g in gamma if abs(g[0] - level) > 0.1]
    isomer = [c for c in conversion
              if abs(c[0] + binding.get(c[2], 0.0) - level) < (1.5 if c[2] == "L" else 1.0)]
    kept = [c for c in conversion if c not in isomer]
    for shell, lines in (("K", [x for x in xray if x[2].startswith("k")]),
                         ("K", [x for x in auger if x[2] == "K"])):
        before = sum(c[1] for c in conversion if c[2] == shell)
        after = sum(c[1] for c in kept if c[2] == shell)
        for line in lines:
            line[1] *= after / before if before else 1.0
    before = sum(c[1] for c in conversion if c[2] in "KL")
    after = sum(c[1] for c in kept if c[2] in "KL")
    for line in [x for x in xray if x[2] == "l"] + [x for x in auger if x[2] == "L"]:
        line[1] *= after / before if before else 1.0
    return kept_gamma, kept


def isomeric_transition(z, a, level_energy):
    """One direct transition to the ground state, from a level scheme with conversion coefficients."""
    binding = binding_energies(z)
    for data in level_scheme_of(z, a):
        for level in data["levelScheme"]:
            if abs(level["levelEnergy"] - level_energy) > 0.5 or len(level["gammaDecay"]) != 1:
                continue
            g = level["gammaDecay"][0]
            half_life = level["isomerDecay"][0]
            coefficient = g["calculatedAtomicShellConversionCoefficients"][0]
            alpha = {s: number(coefficient[f"calculatedInternalConversionCoefficientAtomicShell{s}"])
                     for s in "KLMNO"}
            total = 1 + sum(alpha.values())
            energy = g["gammaEnergy"]
            conversion = [[round(energy - binding.get(s, 0.0), 3), alpha[s] / total, s]
                          for s in "KLMNO" if alpha[s]]
            return half_life, [[energy, 1 / total]], conversion
    raise SystemExit(f"no level scheme for {SYMBOLS[z]}-{a}m")


def relaxation_from_yields(z, conversion):
    """K X-rays and K, L Auger from xraylib yields, for a nuclide without a radiation list."""
    import xraylib as x

    k = sum(c[1] for c in conversion if c[2] == "K")
    direct_l = sum(c[1] for c in conversion if c[2] == "L")
    binding = binding_energies(z)
    omega_k = x.FluorYield(z, x.K_SHELL)
    xray, photon_energy, to_l = [], 0.0, 0.0
    for label, line in (("ka2", x.KL2_LINE), ("ka1", x.KL3_LINE), ("kb3", x.KM2_LINE),
                        ("kb1", x.KM3_LINE), ("kb2", x.KN3_LINE)):
        rate = x.RadRate(z, line)
        xray.append([round(x.LineEnergy(z, line), 3), k * omega_k * rate, label])
        photon_energy += rate * x.LineEnergy(z, line)
        to_l += rate if label.startswith("ka") else 0.0
    # KLL dominates; the mean K Auger energy leaves 1.65 L vacancies (ratio KLX/KLL of about 0.35).
    holes = 1.65
    mean_k_auger = binding["K"] - holes * binding["L"] - (2 - holes) * binding["M"]
    auger = [[round(mean_k_auger, 2), k * (1 - omega_k), "K"]]
    l_vacancies = direct_l + k * (omega_k * to_l + (1 - omega_k) * holes)
    omega_l = x.FluorYield(z, x.L3_SHELL)
    l_photon = x.LineEnergy(z, x.LA_LINE)
    xray.append([round(l_photon, 3), l_vacancies * omega_l, "l"])
    auger.append([round(binding["L"] - 2 * binding["M"], 2), l_vacancies * (1 - omega_l), "L"])
    return xray, auger


def rounded(x):
    return float(f"{x:.7g}")


def lines_yaml(key, lines):
    if not lines:
        return ""
    body = "".join(
        "  - [" + ", ".join(f"{rounded(v)!r}" if isinstance(v, float) else str(v) for v in line)
        + "]\n" for line in lines)
    return f"{key}:\n{body}"


def make(name, source):
    z, a, metastable = split(name)
    level = ISOMER_OF.get(name, 0.0)
    datasets = pace_datasets(z, a, level if metastable else 0.0)
    rows = [r for r in radiation_rows(source, z, a)
            if abs(number(r["parent_level_keV"]) - level) < 0.5]
    daughters = []
    for data in datasets:
        norm = data["decaySchemeNormalization"][0]["normalizationRecord"][0]
        branch = number(norm["multiplerBranchingRatio"])
        daughter = f"{SYMBOLS[data['daughterAtomicNumber']]}-{data['daughterAtomicMass']}"
        if branch >= MIN_BRANCH:
            daughters.append([daughter, branch, MODE[data["decayMode"]]])
    gamma = [[number(r["energy_keV"]), number(r["intensity_pct"]) / 100] for r in rows
             if r["rad_type"] == "gamma" and r["rad_subtype"] != "Annihil."]
    conversion = [[number(r["energy_keV"]), number(r["intensity_pct"]) / 100,
                   r["rad_subtype"].split()[-1]] for r in rows if r["rad_type"] == "ce"]
    z_daughter = datasets[0]["daughterAtomicNumber"] if datasets else z
    if datasets and len(datasets) > 1:
        z_daughter = max(datasets, key=lambda d: number(d["decaySchemeNormalization"][0][
            "normalizationRecord"][0]["multiplerBranchingRatio"]))["daughterAtomicNumber"]
    half_life = datasets[0]["parentDecay"][0]["halfLife"][0] if datasets else None
    notes = []
    if name == "Xe-131m":
        half_life, gamma, conversion = isomeric_transition(z, a, level)
        xray, auger = relaxation_from_yields(z, conversion)
        listed = sum(v[0] * v[1] for v in xray + auger)
        released = sum(i * binding_energies(z).get(s, 0.0) for _, i, s in conversion)
        rest = released - listed
        z_daughter = z
    else:
        if metastable:
            z_daughter = z
        xray, auger, rest = atomic_shell(rows, conversion, capture_vacancies(datasets), z_daughter)
    if metastable:
        minus = sum(d[1] for d in daughters)
        daughters.append([f"{SYMBOLS[z]}-{a}", 1.0 - minus, "isomeric-transition"])
    if name == "I-131":
        gamma, conversion2 = without_isomer(gamma, conversion, xray, auger, 163.93,
                                            binding_energies(z_daughter))
        kept = sum(i * binding_energies(z_daughter).get(s, 0.0) for _, i, s in conversion2)
        rest = kept - sum(v[0] * v[1] for v in xray + auger)
        conversion = conversion2
        # The isomer's share of 131I decays: evaluated feeding of the 163.9 keV level.
        daughters = [["Xe-131m", 0.0109, "beta-minus"], ["Xe-131", 0.9891, "beta-minus"]]
        notes.append("131mXe (1.09 %, 11.9 d) is a daughter of its own; its lines are not listed here")
    if rest < 0:
        notes.append(f"listed X and Auger exceed the shell's binding energy by {-rest:.3f} keV")
        rest = 0.0
    listed = rest + sum(v[0] * v[1] for v in gamma + xray + conversion + auger)
    available = level if metastable else excitation(datasets)
    if name == "I-131" and available:
        available -= 0.0109 * 163.93
    if available and available > listed:
        # Energy is conserved: what the level scheme must release and no list holds is booked as
        # low-energy electrons, for it is strongly converted transitions that go unmeasured.
        if available - listed > 0.01 * available:
            notes.append(f"level feeding releases {available - listed:.2f} keV more than the lists"
                         " hold; booked as unlisted electrons")
        rest += available - listed
    override = HALF_LIFE_OVERRIDE.get(name)
    if override:
        value, sigma, unit, why = override
        notes.append("half-life: " + why)
    else:
        value, sigma, unit = (half_life[k] for k in (
            "halfLifeBest", "dHalfLifeBest", "unitHalfLifeBest"))
    photon_rest = electron_rest = alpha_rest = 0.0
    gamma, photon_rest = tidy(gamma, photon_rest)
    xray, photon_rest = tidy(xray, photon_rest)
    conversion, electron_rest = tidy(conversion, rest)
    auger, electron_rest = tidy(auger, electron_rest)
    alpha = [[number(r["energy_keV"]), number(r["intensity_pct"]) / 100] for r in rows
             if r["rad_type"] == "alpha"]
    alpha = normalised(alpha, branching(datasets, "alphaDecay"))
    alpha, alpha_rest = tidy(alpha, alpha_rest)
    minus = beta_branches(datasets, "betaMinusDecay", rows)
    plus = beta_branches(datasets, "electronCaptureBetaPlusDecay", rows)
    minus = normalised(minus, branching(datasets, "betaMinusDecay"))
    minus = [b for b in minus if b[1] >= 1e-6]
    plus = [b for b in plus if b[1] >= 1e-6]
    text = f"# {name}: decay data in use. Energies keV; intensities per decay. Made by scripts/nuclear_data.py.\n"
    text += f"nuclide: {name}\natomic_number: {z}\nmass_number: {a}\n"
    text += (f"half_life: {{ value: {value!r}, uncertainty: {sigma!r}, unit: {unit},"
             f" seconds: {float(value) * SECONDS[unit]:.9g} }}\n")
    text += ("evaluation: ENSDF (NNDC), archive of September 2023; lists by nucl-parquet and"
             " paceENSDF 0.6.3; binding energies xraylib 4.3\n")
    text += "retrieved: 2026-11-23\n"
    text += "".join(["notes:\n"] + [f"  - \"{note}\"\n" for note in notes]) if notes else ""
    text += lines_yaml("daughters", daughters)
    text += "# [end point, intensity, transition, evaluated mean energy]\n" if minus or plus else ""
    text += lines_yaml("beta_minus", minus)
    text += lines_yaml("beta_plus", plus)
    text += lines_yaml("alpha", alpha)
    text += lines_yaml("gamma", gamma)
    text += lines_yaml("x_ray", xray)
    text += lines_yaml("conversion", conversion)
    text += lines_yaml("auger", auger)
    text += ("# Energy per decay of what is not listed: lines below the thresholds, outer-shell electrons.\n"
             f"unlisted_kev: {{ photon: {rounded(photon_rest)!r},"
             f" conversion_auger: {rounded(electron_rest)!r}, alpha: {rounded(alpha_rest)!r} }}\n")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.yaml").write_text(text)
    positron = sum(b[1] for b in plus)
    return {
        "beta": sum(b[1] * b[3] for b in minus), "positron": sum(b[1] * b[3] for b in plus),
        "ce_auger": sum(v[0] * v[1] for v in conversion + auger) + electron_rest,
        "photon": sum(v[0] * v[1] for v in gamma + xray) + photon_rest + positron * 2 * 510.999,
        "alpha": sum(v[0] * v[1] for v in alpha) + alpha_rest, "rest": rest,
        "half_life": f"{value} {unit}", "daughters": [d[:2] for d in daughters],
        "alpha_sum": sum(v[1] for v in alpha), "beta_sum": sum(b[1] for b in minus),
    }


def icrp107(name):
    """Means of ICRP Publication 107 for comparison, keV per decay."""
    import icrp107_database

    path = Path(icrp107_database.__file__).parent / "icrp107" / f"{name}.json"
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    data = json.loads(data) if isinstance(data, str) else data
    total = {k: 1000 * sum(e * i for e, i in v) for k, v in data["emissions"].items()
             if k != "b-spectra" and v}
    return {
        "beta": total.get("beta-", 0.0), "positron": total.get("beta+", 0.0),
        "ce_auger": total.get("auger", 0.0) + total.get("IE", 0.0),
        "photon": total.get("gamma", 0.0) + total.get("X", 0.0) + total.get("annihilation", 0.0),
        "alpha": total.get("alpha", 0.0), "half_life": f"{data['half_life']} {data['time_unit']}",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    home = Path(os.environ.get("NUCL_PARQUET_DATA", Path.home() / ".nucl-parquet"))
    parser.add_argument("--radiation", type=Path, default=home / "meta" / "ensdf" / "radiation")
    parser.add_argument("--icrp107", action="store_true")
    args = parser.parse_args()
    if not args.radiation.is_dir():
        parser.error(f"no radiation table in {args.radiation}; run nucl_parquet.download() first")
    keys = ("beta", "positron", "ce_auger", "photon", "alpha")
    for name in NUCLIDES:
        made = make(name, args.radiation)
        print(f"{name:8s} {made['half_life']:16s} "
              + " ".join(f"{k} {made[k]:10.3f}" for k in keys), f"rest {made['rest']:.3f}",
              made["daughters"], f"sum a {made['alpha_sum']:.4f} b {made['beta_sum']:.4f}")
        if args.icrp107 and (other := icrp107(name)):
            print(f"{'':8s} {other['half_life']:16s} "
                  + " ".join(f"{k} {other[k]:10.3f}" for k in keys))


if __name__ == "__main__":
    main()
