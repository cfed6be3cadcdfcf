//! Questions answered from the table of series: SQL narrows by what is indexed, and
//! [`query`](crate::archive::query) decides.

use super::instances;
use crate::archive::query::{self, Attribute, Match, Matching, Query, QueryLevel, SeriesRow};
use crate::archive::{Instance, InstanceFilter};
use crate::dicom::{InstanceHeader, Uid};
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, params_from_iter};

/// Values that are handed to SQL at most; a longer list is matched here.
const MAX_LISTED: usize = 500;

pub(super) fn answer(index: &Connection, query: &Query) -> rusqlite::Result<Vec<Match>> {
    if query.level != QueryLevel::Instance && !query.asks_of_instances() {
        return Ok(query::answer(query, rows(index, query)?));
    }
    let mut found: Vec<Match> = Vec::new();
    let mut below: Vec<Instance> = Vec::new();
    for row in rows(index, query)? {
        if found.len() >= query.limit {
            break;
        }
        // Above instance level a match also counts the series that it did not match by.
        if query.level == QueryLevel::Instance && !query.concerns_series(&row.header) {
            continue;
        }
        let filter = InstanceFilter {
            study: Some(row.header.study),
            series: Some(row.header.series),
            sop_instance: match query.level {
                QueryLevel::Instance => only(query.wanted(Attribute::SopInstanceUid)),
                _ => None,
            },
            ..InstanceFilter::default()
        };
        let instances = instances::find(index, &filter)?;
        if query.level == QueryLevel::Instance {
            found.extend(query::matching_instances(query, instances));
        } else {
            below.extend(instances);
        }
    }
    if query.level != QueryLevel::Instance {
        found = query::answer_from_instances(query, below);
    }
    found.truncate(query.limit);
    Ok(found)
}

fn only(wanted: Option<&std::collections::BTreeSet<String>>) -> Option<Uid> {
    let wanted = wanted.filter(|wanted| wanted.len() == 1)?;
    wanted.first().and_then(|uid| Uid::parse(uid).ok())
}

/// Rows of all series of every study that may match, in the order of answers. What is asked of
/// series narrows only where series are what is asked for.
fn rows(index: &Connection, query: &Query) -> rusqlite::Result<Vec<SeriesRow>> {
    let mut sql = String::from("SELECT header, instances FROM series WHERE 1");
    let mut values: Vec<Value> = Vec::new();
    let mut listed =
        vec![("patient_id", Attribute::PatientId), ("study", Attribute::StudyInstanceUid)];
    if query.level >= QueryLevel::Series {
        listed.push(("series", Attribute::SeriesInstanceUid));
    }
    for (column, attribute) in listed {
        let Some(wanted) = query.wanted(attribute).filter(|w| w.len() <= MAX_LISTED) else {
            continue;
        };
        let marks = vec!["?"; wanted.len()].join(", ");
        sql.push_str(&format!(" AND {column} IN ({marks})"));
        values.extend(wanted.iter().cloned().map(Value::Text));
    }
    if let Some((from, to)) = dates(query) {
        sql.push_str(" AND study_date BETWEEN ? AND ?");
        values.extend([Value::Text(from), Value::Text(to)]);
    }
    sql.push_str(" ORDER BY patient_id, study, series");
    index.prepare_cached(&sql)?.query_map(params_from_iter(values), row)?.collect()
}

/// A range that the index by date may narrow to: wide enough for dates in the legacy form with
/// points, which sort between their year and the next character.
fn dates(query: &Query) -> Option<(String, String)> {
    query.conditions.iter().find_map(|condition| match &condition.matching {
        Matching::Range { from, to } if condition.attribute == Attribute::StudyDate => {
            let year =
                |text: &Option<String>| text.as_ref().and_then(|t| t.get(..4).map(str::to_owned));
            Some((year(from).unwrap_or_default(), year(to).map_or("~".into(), |y| y + "~")))
        }
        _ => None,
    })
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<SeriesRow> {
    let unreadable =
        |column| rusqlite::Error::InvalidColumnType(column, "series".into(), Type::Text);
    let text: String = row.get(0)?;
    let header: InstanceHeader = serde_json::from_str(&text).map_err(|_| unreadable(0))?;
    let instances: i64 = row.get(1)?;
    Ok(SeriesRow { header, instances: instances.unsigned_abs() })
}
