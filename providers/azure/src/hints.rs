//! What to do about an AADSTS number.

/// The hint for a number, if there is one that says more than the error code does.
pub(crate) fn for_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "50011" => {
            "Add the broker's callback address to the app registration (platform \"Mobile and desktop applications\" for a public client)."
        }
        "50020" | "50034" => "Sign in with an account of this tenant, or set AZURE_TENANT to the account's.",
        "50076" | "50079" => "Sign in again: multi-factor authentication is needed.",
        "50173" => "Sign in again: the login was revoked, as after a change of password.",
        "50194" => "Set AZURE_TENANT to the directory's ID: the app is registered for one tenant only.",
        "50196" => "Wait some minutes: the same request was sent too often.",
        "53000" | "53003" => "Ask the administrator: a Conditional Access policy does not allow this sign-in.",
        "54005" => "Start the login again: the code was used before.",
        "65001" => "Sign in again and consent; some scopes need an administrator's consent.",
        "65004" => "The person declined. Start the login again if that was a mistake.",
        "70000" | "700084" => "Sign in again: the login has ended.",
        "70008" | "700082" => "Sign in again: the login was not used for too long.",
        "70018" => "Start the login again: the device code is not known.",
        "70019" => "Start the login again: the code was not entered in time.",
        "70043" => "Sign in again: a policy limits how long a login lasts.",
        "70011" => "Check the scopes: ask for one resource at a time, such as https://graph.microsoft.com/User.Read.",
        "700011" | "700016" => "Compare AZURE_CLIENT_ID with the app registration, and AZURE_TENANT with the directory it is in.",
        "7000215" | "7000222" => "Set AZURE_CLIENT_SECRET to the value (not the ID) of a client secret that has not expired.",
        "7000218" => "Allow public client flows in the app registration, or set AZURE_CLIENT_SECRET.",
        "700025" => "Unset AZURE_CLIENT_SECRET: the callback is registered for a public client.",
        "501481" => "Start the login again in one browser window: the answer belongs to another login.",
        _ => return None,
    })
}
