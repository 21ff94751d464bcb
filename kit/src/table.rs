//! The table of the specification's properties, as words of a scenario: `topic_alias_maximum=5`.

use std::sync::LazyLock;

const PROPERTIES: &str = include_str!("../../spec/properties.tsv");

/// How a property's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Byte,
    Two,
    Four,
    Variable,
    /// Text or binary data: two bytes of length and the bytes.
    Text,
    Pair,
}

/// A row of table 2-4.
#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) id: u8,
    /// In lower case, with `_` for spaces.
    pub(crate) name: String,
    pub(crate) kind: Type,
}

/// The 27 properties.
pub(crate) static PROPERTY: LazyLock<Vec<Property>> = LazyLock::new(|| {
    let rows = PROPERTIES.lines().skip(1);
    rows.filter_map(|row| {
        let mut cells = row.split('\t');
        let id = cells.next()?.parse().ok()?;
        let name = cells.nth(1)?.to_lowercase().replace(' ', "_");
        let kind = match cells.next()? {
            "Byte" => Type::Byte,
            "Two Byte Integer" => Type::Two,
            "Four Byte Integer" => Type::Four,
            "Variable Byte Integer" => Type::Variable,
            "UTF-8 String" | "Binary Data" => Type::Text,
            "UTF-8 String Pair" => Type::Pair,
            _ => return None,
        };
        Some(Property { id, name, kind })
    })
    .collect()
});

/// The property of this name.
pub(crate) fn named(name: &str) -> Option<&'static Property> {
    PROPERTY.iter().find(|property| property.name == name)
}

/// The property with this identifier.
pub(crate) fn numbered(id: u8) -> Option<&'static Property> {
    PROPERTY.iter().find(|property| property.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole() {
        assert_eq!(PROPERTY.len(), 27);
        let alias = named("topic_alias").unwrap();
        assert_eq!((alias.id, alias.kind), (0x23, Type::Two));
        assert_eq!(numbered(0x24).unwrap().name, "maximum_qos");
    }
}
