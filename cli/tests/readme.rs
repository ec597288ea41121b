//! What the README says, as far as the code knows better.

#[test]
fn the_readme_holds_the_settings_as_they_are() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("<!-- settings -->\n").expect("the section begins");
    let (section, _) = rest.split_once("<!-- /settings -->").expect("the section ends");
    let wanted = platform::settings::markdown();
    assert!(section == wanted, "the README's table of settings should be:\n{wanted}");
}
