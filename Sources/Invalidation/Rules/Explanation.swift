/// What every rule would make of one change, for `cdcd explain`: the same rendering as the stream's.
package struct Explanation: Sendable, Equatable {
  package struct Verdict: Sendable, Equatable {
    /// The rule's index in the file.
    package var rule: Int
    package var outcome: RuleOutcome
    package var keys: [[UInt8]]
    /// `BoundRule.problem`, of a table that a server describes.
    package var problem: String?
  }

  /// One for each rule of the table, in the order of the file.
  package var verdicts: [Verdict]

  /// `old` and `new` map column names to texts, nil for NULL; an absent image is nil. The columns are those of
  /// both images, and the old image counts as complete (REPLICA IDENTITY FULL).
  package init(
    rules: [Rule], table: TableName, operation: Operations, old: [(String, String?)]?,
    new: [(String, String?)]?
  ) {
    var known: Set<String> = []
    let names = ((old ?? []) + (new ?? [])).map(\.0).filter { known.insert($0).inserted }
    let relation = BoundRelation(
      Relation(
        identifier: 0, table: table, replicaIdentity: .full,
        columns: names.map { Relation.Column(name: $0, isKey: false) }),
      rules: rules)
    var message: [UInt8] = []
    var images = RowImages()
    if let old { Explanation.place(old, names, &message, &images.old) }
    if let new { Explanation.place(new, names, &message, &images.new) }
    self.verdicts = relation.rules.map { rule in
      var keys = KeyBuffer()
      let outcome = rule.render(operation, images, of: message.span, into: &keys)
      return Verdict(rule: rule.index, outcome: outcome, keys: (0..<keys.count).map { keys[$0] })
    }
  }

  private static func place(
    _ values: [(String, String?)], _ names: [String], _ message: inout [UInt8], _ image: inout RowImage
  ) {
    image.begin()
    let values = Dictionary(values, uniquingKeysWith: { _, last in last })
    for name in names {
      guard let value = values[name] ?? nil else {
        image.append(.null)
        continue
      }
      image.append(ColumnSlice(offset: Int32(message.count), length: Int32(value.utf8.count)))
      message += value.utf8
    }
  }
}
