//! Readers and quantification against real data (where it is at hand) and against images built
//! here, whose activity is known in closed form.

mod build;
mod codecs;
mod ct;
mod nm;
mod pet;
mod real;
mod regions;
