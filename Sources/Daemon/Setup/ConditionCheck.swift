import Invalidation
import PostgresSource

/// Values under `where:` that PostgreSQL never prints: a condition compares with the column's text output, so that 1.5 is
/// no numeric(10,2), which prints 1.50.
enum ConditionCheck {
  /// Changes nothing but settings of the session.
  static func findings(
    rules: [Rule], session: CatalogSession
  ) throws(CatalogError) -> [Finding] {
    guard rules.contains(where: { !$0.conditions.isEmpty }) else { return [] }
    // A pooler would leave the settings to whoever has the session next.
    guard try !session.meetsPooler() else { return [] }
    try session.execute(
      """
      SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC';
      SET extra_float_digits = 1; SET bytea_output = 'hex'; SET lc_monetary = 'C'
      """)
    var findings: [Finding] = []
    for rule in rules where !rule.conditions.isEmpty {
      guard let name = rule.table, let table = try RuledTable.read(name, from: session) else { continue }
      for condition in rule.conditions {
        guard let column = table.columns.first(where: { $0.name == condition.column }) else { continue }
        for value in condition.values.compactMap({ $0 }) {
          guard let printed = try unequalOutput(of: value, as: column, session) else { continue }
          findings.append(
            Finding(
              "The rule \(rule.name) compares \"\(column.name)\" with \"\(value)\", "
                + "which PostgreSQL never prints for the type \(column.type): the condition never holds.",
              remedy: printed))
        }
      }
    }
    return findings
  }

  /// What to write instead of a value; nil when PostgreSQL prints it as it is.
  private static func unequalOutput(
    of value: String, as column: RuledTable.Column, _ session: CatalogSession
  ) throws(CatalogError) -> String? {
    do {
      let output = try session.rows("SELECT pg_catalog.format('%s', $1::\(column.type))", [value]).first?
        .first
      guard let printed = output ?? nil, printed != value else { return nil }
      return "Write '\(printed)'."
    } catch {
      // Classes 22 and 23: the value is not of the type, or of the domain; 42 of names, as of regclass. Anything else, and
      // insufficient_privilege, says nothing about it.
      guard let state = error.sqlState, state != "42501", ["22", "23", "42"].contains(state.prefix(2)) else {
        throw error
      }
      return "Write a value of the type: \(error.message)"
    }
  }
}
