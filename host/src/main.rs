//! Reads the command line, nothing else.

fn main() -> std::process::ExitCode {
    credentials_broker::cli::main()
}
