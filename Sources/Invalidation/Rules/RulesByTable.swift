/// Where the rules of each table stand in the file, so that a table that is described costs its own rules and not all of them.
struct RulesByTable: Sendable {
  private let places: [TableName: [Int]]

  init(_ rules: [Rule]) {
    var places: [TableName: [Int]] = [:]
    for (place, rule) in rules.enumerated() {
      if let table = rule.table { places[table, default: []].append(place) }
    }
    self.places = places
  }

  /// The rules that concern one of these tables, in the order of the file.
  func callAsFunction(of tables: Set<TableName>) -> [Int] {
    tables.flatMap { places[$0] ?? [] }.sorted()
  }
}
