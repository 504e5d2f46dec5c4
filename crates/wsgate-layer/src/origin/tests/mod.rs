mod layer;
mod policy;
mod shown;
