//! Configuration to be taken over as it is: pip's and uv's, of the best mirror and of each.

use std::fmt::Write as _;

use super::super::view::{EndpointView, View};

pub(super) fn add(view: &View<'_>, file: &mut impl FnMut(&str, Vec<u8>)) {
    let mut usable = view.usable();
    if let Some(best) = usable.next() {
        let mut others = String::new();
        for other in usable {
            let _infallible = writeln!(others, "#   {}", other.index());
        }
        if !others.is_empty() {
            others.insert_str(0, "# Others that are active now, the healthiest first:\n");
        }
        file("pip.conf", format!("{others}{}", pip(best)).into_bytes());
        file("uv.toml", format!("{others}{}", uv(best)).into_bytes());
    }
    for endpoint in view
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.is_offered())
    {
        let id = &endpoint.endpoint.id;
        file(&format!("pip/{id}.conf"), pip(endpoint).into_bytes());
        file(&format!("uv/{id}.toml"), uv(endpoint).into_bytes());
    }
}

fn pip(view: &EndpointView<'_>) -> String {
    format!("[global]\nindex-url = {}\n", view.index())
}

fn uv(view: &EndpointView<'_>) -> String {
    format!("[[index]]\nurl = \"{}\"\ndefault = true\n", view.index())
}
