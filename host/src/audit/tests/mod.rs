mod beside_a_vault;
mod on_standard_error;
