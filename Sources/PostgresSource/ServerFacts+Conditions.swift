import Invalidation

/// The part of the one query that is about the columns which a `where` tests.
extension ServerFacts {
  /// For each rule with a `where` its number and a digest of the types that the tested columns have, and have within them
  /// (domains, arrays, ranges, composite types), a line each.
  ///
  /// By name, since another server that takes over may have other numbers. Of an enum only those labels count that the
  /// `where` names, so that one more label is no news; within another type all of them do.
  static func conditionTypeQuery(_ rules: [RuleColumns]) -> String {
    let values = values(rules)
    guard !values.isEmpty else { return "NULL" }
    return """
      (SELECT string_agg(tested.rule || ' ' || tested.types, E'\\n')
        FROM (
          SELECT r.rule, md5(string_agg(described.text, E'\\n' ORDER BY r.place)) AS types,
            bool_and(described.text IS NOT NULL) AS are_there
          FROM (VALUES \(values)) AS r (rule, place, schema, name, col, texts)
          LEFT JOIN pg_namespace AS n ON n.nspname = r.schema
          LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = r.name
          LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = r.col AND NOT a.attisdropped
          CROSS JOIN LATERAL (\(description)) AS described (text)
          GROUP BY r.rule) AS tested
        WHERE tested.are_there)
      """
  }

  /// SQL for a text of the type of the column `a` and of all types within it; null for no column.
  private static var description: String {
    """
    WITH RECURSIVE part (oid, is_within) AS (
      SELECT a.atttypid, false UNION
      SELECT inner_type.oid, part.is_within OR inner_type.is_within FROM part
      JOIN pg_type AS y ON y.oid = part.oid
      CROSS JOIN LATERAL (
        SELECT y.typbasetype, false WHERE y.typbasetype <> 0
        UNION ALL SELECT y.typelem, true WHERE y.typelem <> 0
        UNION ALL SELECT g.rngsubtype, true FROM pg_range AS g WHERE y.oid IN (g.rngtypid, g.rngmultitypid)
        UNION ALL SELECT m.atttypid, true FROM pg_attribute AS m
          WHERE m.attrelid = y.typrelid AND y.typrelid <> 0 AND m.attnum > 0 AND NOT m.attisdropped
      ) AS inner_type (oid, is_within))
    SELECT a.atttypmod || ' ' || string_agg(
        concat_ws('.', yn.nspname, y.typname, y.typtypmod,
          (SELECT string_agg(m.attname || m.atttypmod, '.' ORDER BY m.attnum) FROM pg_attribute AS m
            WHERE m.attrelid = y.typrelid AND y.typrelid <> 0 AND m.attnum > 0 AND NOT m.attisdropped),
          (SELECT string_agg(e.enumlabel, '.' ORDER BY e.enumlabel) FROM pg_enum AS e
            WHERE e.enumtypid = y.oid AND (part.is_within OR e.enumlabel = ANY (r.texts)))),
        ' ' ORDER BY yn.nspname, y.typname, part.is_within)
      FROM part JOIN pg_type AS y ON y.oid = part.oid JOIN pg_namespace AS yn ON yn.oid = y.typnamespace
    """
  }

  /// A row for each condition.
  private static func values(_ rules: [RuleColumns]) -> String {
    rules.enumerated().flatMap { number, rule -> [String] in
      guard let table = rule.table else { return [] }
      return rule.conditions.enumerated().map { place, condition in
        let texts = condition.values.compactMap { $0.map(CatalogSession.quoted(literal:)) }
        return "(\(number), \(place), \(CatalogSession.quoted(literal: table.schema)), "
          + "\(CatalogSession.quoted(literal: table.name)), "
          + "\(CatalogSession.quoted(literal: condition.column)), ARRAY[\(texts.joined(separator: ", "))]::text[])"
      }
    }.joined(separator: ", ")
  }
}
