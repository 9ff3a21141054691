/// A table as PostgreSQL names it in its catalogue: exact, unquoted, case kept.
package struct TableName: Hashable, Sendable, CustomStringConvertible {
  package var schema: String
  package var name: String

  package init(schema: String, name: String) {
    self.schema = schema
    self.name = name
  }

  /// `schema.name` for people, logs and metrics: without quotes.
  package var description: String { schema + "." + name }
}

/// What a replicated message does to a table.
package struct Operations: OptionSet, Hashable, Sendable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let insert = Operations(rawValue: 1)
  package static let update = Operations(rawValue: 2)
  package static let delete = Operations(rawValue: 4)
  package static let truncate = Operations(rawValue: 8)
  package static let all: Operations = [.insert, .update, .delete, .truncate]
}

/// What to do when continuity cannot be proved (contract 4).
package enum GapPolicy: String, Hashable, Sendable, CaseIterable {
  case flush, halt, ignore
}

/// One entry of `rules:`: which keys the rows of a table stand for, or that logical messages may name keys.
package struct Rule: Hashable, Sendable {
  /// One line of `where:`: the column's text is one of the values; a nil value stands for NULL.
  package struct Condition: Hashable, Sendable {
    package var column: String
    package var values: [String?]

    package init(column: String, values: [String?]) {
      self.column = column
      self.values = values
    }
  }

  package var name: String
  /// Nil for the rule of the logical messages: they name its keys, so that it has neither columns nor templates.
  package var table: TableName?
  package var operations: Operations
  /// Updates that change none of these columns are ignored; empty means every update counts.
  package var whenChanged: [String]
  /// All of them must hold, for the old or for the new row.
  package var conditions: [Condition]
  package var templates: [KeyTemplate]
  /// A glob pattern in Redis's syntax that covers the keys of the templates that give none.
  package var pattern: String?
  /// Overrides the file's `on_gap` for this rule.
  package var onGap: GapPolicy?
  /// `redelete_after`: how long after a change is visible its keys are deleted once more, for readers that fill the
  /// cache by a plain SET.
  package var redeleteAfter: Duration?

  package init(
    name: String, table: TableName, operations: Operations = .all, whenChanged: [String] = [],
    conditions: [Condition] = [], templates: [KeyTemplate], pattern: String? = nil, onGap: GapPolicy? = nil,
    redeleteAfter: Duration? = nil
  ) {
    self.name = name
    self.table = table
    self.operations = operations
    self.whenChanged = whenChanged
    self.conditions = conditions
    self.templates = templates
    self.pattern = pattern
    self.onGap = onGap
    self.redeleteAfter = redeleteAfter
  }

  /// A rule that takes the keys which logical messages name (`messages: true`). `pattern` covers those keys.
  package init(
    messages name: String, pattern: String? = nil, onGap: GapPolicy? = nil, redeleteAfter: Duration? = nil
  ) {
    self.name = name
    self.table = nil
    self.operations = []
    self.whenChanged = []
    self.conditions = []
    self.templates = []
    self.pattern = pattern
    self.onGap = onGap
    self.redeleteAfter = redeleteAfter
  }

  package var takesMessages: Bool { table == nil }

  /// Whether its table is one of these.
  func concerns(_ tables: Set<TableName>) -> Bool { table.map(tables.contains) ?? false }

  /// The glob patterns that cover every key of the rule: one for each template that begins with a literal, and
  /// `pattern` for those that do not. Empty when there is such a template and no `pattern`: the rule cannot be
  /// flushed.
  package var flushPatterns: [[UInt8]] {
    let patterns = templates.map(\.flushPattern)
    guard pattern != nil || !patterns.contains(where: { $0 == nil }) else { return [] }
    return patterns.compactMap { $0 } + (pattern.map { [Array($0.utf8)] } ?? [])
  }

  /// Every column that the rule reads, in order of first mention.
  package var columns: [String] {
    var known: Set<String> = []
    let mentioned = templates.flatMap(\.columns) + whenChanged + conditions.map(\.column)
    return mentioned.filter { known.insert($0).inserted }
  }
}
