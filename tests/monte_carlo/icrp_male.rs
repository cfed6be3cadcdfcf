//! The ICRP 110 adult male's abdomen as a phantom. Needs `../shared/data` and a Python with numpy to
//! unpack it.

use grayd::dose::atomic::MaterialLibrary;
use grayd::dose::monte_carlo::Phantom;
use grayd::volume::{Grid, Occupancy, Volume};
use ndarray::Array3;
use std::path::{Path, PathBuf};

/// Slices 136..172, all rows, columns 50..206: abdomen with 6 cm to spare above and below.
const CROP: ([usize; 3], [usize; 3]) = ([136, 0, 50], [172, 127, 206]);
const EXPORT: &str = "import sys, numpy; v = numpy.load(sys.argv[1])['vol'][136:172, :, 50:206]; \
                      sys.stdout.buffer.write(numpy.ascontiguousarray(v).tobytes())";

fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("GRAYD_PYTHON")
        .map(PathBuf::from)
        .into_iter()
        .chain([
            root.join(".peers/bin/python"),
            PathBuf::from("/opt/grayd-peers/bin/python"),
            PathBuf::from("python3"),
        ])
        .find(|p| {
            let mut probe = std::process::Command::new(p);
            probe.args(["-c", "import numpy"]).output().is_ok_and(|o| o.status.success())
        })
}

/// Name and density (g/ml) of each organ id.
type Organs = Vec<(String, f32)>;

/// Organ ids of the crop, and the organs.
fn unpack() -> Option<(Array3<u8>, Organs)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/phantoms/icrp110_AM");
    let Ok(json) = std::fs::read_to_string(root.join("AM.json")) else {
        println!("passed over: ../shared/data/phantoms is not here");
        return None;
    };
    let Some(python) = python() else {
        println!("passed over: numpy is not installed (tests/run installs it)");
        return None;
    };
    let output = std::process::Command::new(python)
        .args(["-c", EXPORT])
        .arg(root.join("AM.npz"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shape: [usize; 3] = std::array::from_fn(|n| CROP.1[n] - CROP.0[n]);
    let ids = Array3::from_shape_vec(shape, output.stdout).unwrap();
    let table: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut organs = vec![("outside".to_owned(), 0.0012); 256];
    for (id, entry) in table["organs"].as_object().unwrap() {
        let name = entry[0].as_str().unwrap().to_owned();
        organs[id.parse::<usize>().unwrap()] = (name, entry[2].as_f64().unwrap() as f32);
    }
    Some((ids, organs))
}

fn tissue_of(name: &str, density: f32) -> &'static str {
    match density {
        d if d < 0.1 => "air",
        d if d < 0.6 => "lung",
        d if d < 0.97 => "adipose",
        d if d > 1.5 => "cortical-bone",
        _ if name.contains("spongiosa") => "spongiosa",
        _ => "muscle",
    }
}

/// The phantom and the organ id of each voxel.
pub struct IcrpMale {
    pub phantom: Phantom,
    ids: Array3<u8>,
    organs: Organs,
}

impl IcrpMale {
    /// `None`, and a line that says why, where data or Python are missing.
    pub fn load() -> Option<Self> {
        let (ids, organs) = unpack()?;
        let library = MaterialLibrary::embedded();
        let shape = [ids.dim().0, ids.dim().1, ids.dim().2];
        let grid = Grid::axial(shape, [2.137, 2.137, 8.0], [0.0; 3]).unwrap();
        let tissue = ids.mapv(|id| {
            let (name, density) = &organs[usize::from(id)];
            library.by_name(tissue_of(name, *density)).unwrap()
        });
        let density = ids.mapv(|id| organs[usize::from(id)].1.max(0.0012));
        let tissue = Volume::new(grid.clone(), tissue);
        let phantom = Phantom::new(&tissue, &Volume::new(grid, density)).unwrap();
        Some(Self { phantom, ids, organs })
    }

    /// An organ by the beginning of its name: its region, and 1 MBq s spread evenly in it.
    pub fn organ(&self, name: &str) -> (Occupancy, Volume<f32>) {
        let inside = |id: u8| self.organs[usize::from(id)].0.starts_with(name);
        let voxels = self.ids.iter().enumerate().filter(|(_, id)| inside(**id));
        let region = Occupancy::new(voxels.map(|(n, _)| (n as u32, 1.0)).collect());
        let each = (1e6 / region.len() as f64) as f32;
        let tia = self.ids.mapv(|id| if inside(id) { each } else { 0.0 });
        (region, Volume::new(self.phantom.grid().clone(), tia))
    }
}
