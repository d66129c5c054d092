//! Everything that can be asked of the broker and of an answer.

use credentials_broker_provider::{Response, Secret, resolved, setting, setting_secret};

use crate::report::Report;

/// Names under which something secret might be had by mistake.
const NAMES: &[&str] = &[
    "client_secret",
    "signing_key",
    "client_id",
    "access_token",
    "refresh_token",
    "id_token",
    "code",
    "code_verifier",
    "verifier",
    "state",
    "nonce",
    "token_endpoint",
    "base",
    "",
    "PATH",
    "HOME",
];

/// Members of answers, those that are secret above all.
const POINTERS: &[&str] = &[
    "",
    "/",
    "/access_token",
    "/refresh_token",
    "/id_token",
    "/device_code",
    "/client_secret",
    "/team",
    "/team/name",
    "/team/0",
    "/id",
    "/email",
    "/extra",
    "/nested",
    "/nested/access_token",
    "/nested/0",
    "/list",
    "/list/0",
    "/scope",
    "/token_type",
    "/expires_in",
    "/error",
    "/error_description",
    "/error_uri",
    "/sub",
    "/username",
    "/interval",
];

const HEADERS: &[&str] = &[
    "authorization",
    "content-type",
    "cookie",
    "date",
    "location",
    "retry-after",
    "set-cookie",
    "www-authenticate",
    "x-note",
    "x-oauth-scopes",
    "x-secret",
];

/// Settings, resolved values, secret settings' handles.
pub(crate) fn surroundings(report: &mut Report) {
    for name in NAMES {
        report.add_some("setting", setting(name));
        report.add_some("resolved", resolved(name));
        if let Some(secret) = setting_secret(name) {
            handle(name, &secret, report);
        }
    }
}

/// All that can be seen of a handle.
pub(crate) fn handle(name: &str, secret: &Secret, report: &mut Report) {
    report.add(name, &secret.kind());
    report.add(name, &secret.duplicate().kind());
    // the derived text holds the handle's number
    report.add(name, &format!("{secret:?}"));
}

/// All that can be seen of an answer.
pub(crate) fn answer(answer: &Response, report: &mut Report) {
    report.add("status", &answer.status().to_string());
    report.add("body", &answer.body());
    for header in HEADERS {
        report.add_some(header, answer.header(header));
    }
    for pointer in POINTERS {
        report.add_some(pointer, answer.field(pointer));
        if let Some(secret) = answer.secret(pointer) {
            handle(pointer, &secret, report);
        }
    }
}
