//! The figures of `docs/performance.md`: what a request costs the server, beside what its cryptography alone costs.
//!
//! Runs `target/release/keyward` on loopback with a fresh data directory, drives it over kept-alive connections for a few
//! seconds a figure, reads the CPU time of server and loops from `/proc`, and prints a table. Every ratio is of one run.

// What fails here fails the run; what it finds is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod driver;
mod raw;

use driver::{Driver, Load, Server};
use std::time::Duration;

const SECONDS: Duration = Duration::from_secs(4);

/// One line of the table.
struct Row {
    what: &'static str,
    raw_ms: f64,
    load: Load,
    note: &'static str,
}

fn main() {
    let raw = raw::measure();
    let server = Server::start();
    let driver = Driver::prepare(&server);
    let one = |work: &driver::Work<'_>, threads| driver::drive(&server, threads, SECONDS, work);
    let rows = [
        Row {
            what: "client_credentials RS256",
            raw_ms: raw.rs256,
            load: one(&|c, _| driver.client_credentials(c, driver::Alg::Rs256), 8),
            note: "1 signature; no row",
        },
        Row {
            what: "client_credentials ES256",
            raw_ms: raw.es256,
            load: one(&|c, _| driver.client_credentials(c, driver::Alg::Es256), 8),
            note: "1 signature; no row",
        },
        Row {
            what: "code flow with a session",
            raw_ms: raw.rs256 + raw.es256 + raw.code_rows,
            load: one(&|c, n| driver.code_flow(c, n), 8),
            note: "2 requests; ID token RS256, access token ES256; 3 rows: code written, code spent, grant",
        },
        Row {
            what: "password login",
            raw_ms: raw.argon2,
            load: one(&|c, n| driver.login(c, n), 6),
            note: "3 requests; Argon2id 19 MiB, 2, 1; 8 rows",
        },
        Row {
            what: "refresh",
            raw_ms: raw.rs256 + raw.es256 + raw.refresh_rows,
            load: one(&|c, n| driver.refresh(c, n), 8),
            note: "ID token RS256, access token ES256; 1 row",
        },
        Row {
            what: "introspection",
            raw_ms: raw.es256_verify + raw.look_ups,
            load: one(&|c, n| driver.introspect(c, n), 8),
            note: "1 verification; 3 rows read",
        },
        Row {
            what: "userinfo",
            raw_ms: raw.es256_verify + raw.look_ups,
            load: one(&|c, n| driver.userinfo(c, n), 8),
            note: "1 verification; 4 look-ups",
        },
    ];
    println!("| what | raw ms | server ms | ratio | per s | p50 ms | p99 ms | errors | of which |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for row in &rows {
        let l = &row.load;
        println!(
            "| {} | {:.3} | {:.3} | {:.0} % | {:.0} | {:.2} | {:.2} | {} | {} |",
            row.what,
            row.raw_ms,
            l.cpu_ms,
            100.0 * row.raw_ms / l.cpu_ms,
            l.per_second,
            l.p50_ms,
            l.p99_ms,
            l.errors,
            row.note
        );
    }
    println!("\nresident after all of this: {} MB", server.resident_mb());
    server.stop();
    println!("{}", driver::starts(&server));
}
