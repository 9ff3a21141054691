import Invalidation

/// The world's tables and the rules the Engine is given for them.
enum Table: Int, CaseIterable {
  /// Ruled, REPLICA IDENTITY FULL: id, email, name, vip.
  case users
  /// Ruled, REPLICA IDENTITY DEFAULT, mixed-case name: id, total, note (toasted).
  case orders
  /// Published, without a rule.
  case audit
  /// Not in the publication.
  case sessions

  var name: String { ["users", "Orders", "audit", "sessions"][rawValue] }
  var oid: UInt32 { 16_384 + UInt32(rawValue) * 7 }
  var isPublished: Bool { self != .sessions }
  var identityIsFull: Bool { self == .users }
  var columns: [(name: String, type: UInt32)] {
    switch self {
    case .users: [("id", 20), ("email", 25), ("name", 25), ("vip", 16)]
    case .orders: [("id", 20), ("total", 1_700), ("note", 25)]
    case .audit: [("id", 20), ("what", 25)]
    case .sessions: [("id", 20)]
    }
  }
}

/// A row's text by column; nil is NULL.
struct Row: Equatable {
  var id: Int
  var texts: [String?]
}

/// One row change of a transaction.
struct Change {
  /// `alter` is DDL that changes every row, told by a logical message; `message` is one by which the application names keys.
  enum Kind { case insert, update, delete, truncate, alter, message }
  var kind: Kind
  var table: Table
  var old: Row?
  var new: Row?
  /// TRUNCATE and DDL: every table of the statement, and the rows that went or changed.
  var tables: [Table] = []
  var truncated: [(Table, Row)] = []
  /// TRUNCATE of one partition of the users alone.
  var partition: Partition?
  /// The new row's toasted column was not touched and travels as `u`.
  var toastUnchanged = false
  /// The publication did not carry its table when it was made.
  var isLeftOut = false
  /// Of a message.
  var keys: [String] = []
  /// Its partition's replica identity is the primary key alone, and its root's message says FULL.
  var isBare = false
  /// DDL after which the users' `vip` prints otherwise, so that a `where` on it holds no more.
  var isRetype = false
  /// There may have been DDL that no look has seen, so that each `where` may count as met.
  var mayMeetAll = false

  /// Of a TRUNCATE: whether it takes the row.
  func concerns(_ row: Row) -> Bool { partition.map { $0 == Partition(of: row) } ?? true }
}

/// What the rules file says by turns, in a world where it is replaced.
enum RuleVariant: CaseIterable {
  case all
  /// In another order, without `vips`, and with another `names` that listens to more.
  case fewer
  /// `orders` has another name and another `redelete_after`.
  case renamed

  /// Whether the keys of a rule go only while some of the variants are in force.
  static func mayMiss(_ key: String) -> Bool { key.hasPrefix("vip:") }
}

/// What `rules.yaml` would say.
enum Schema {
  static let slot = "cdcd"
  static let users = TableName(schema: "public", name: "users")
  /// By place, the rules of the users that read more than the primary key.
  static func bareTables(_ rules: [Rule]) -> [Int: String] {
    var tables: [Int: String] = [:]
    for (place, rule) in rules.enumerated()
    where ["users", "vips", "regulars", "guests", "names"].contains(rule.name) {
      tables[place] = "public.users_even"
    }
    return tables
  }

  /// By place, what the catalogue says of the columns that the rules test, after so many changes of their types.
  static func conditionTypes(_ rules: [Rule], after retypes: Int) -> [Int: String] {
    var types: [Int: String] = [:]
    for (place, rule) in rules.enumerated() where !rule.conditions.isEmpty {
      types[place] = "type \(retypes)"
    }
    return types
  }

  static func rules(_ variant: RuleVariant, of options: WorldOptions) -> [Rule] {
    let isOnce = options.mutation == .noSecondDeletes
    var rules = rules(
      redeleteAfter: isOnce ? 0 : options.redeleteAfter, takingMessages: options.messagePerMille > 0,
      options.adjustRule)
    switch variant {
    case .all: break
    case .fewer:
      rules.removeAll { $0.name == "vips" }
      rules.reverse()
      for index in rules.indices where rules[index].name == "names" { rules[index].whenChanged = [] }
    case .renamed:
      for index in rules.indices where rules[index].name == "orders" {
        rules[index].name = "baskets"
        rules[index].redeleteAfter = rules[index].redeleteAfter.map { $0 * 3 }
      }
    }
    return rules
  }

  /// With a `redelete_after` for users and messages, twice as long for orders and none for the others; 0 for none at all.
  private static func rules(
    redeleteAfter shortest: Int64, takingMessages: Bool, _ adjust: (inout Rule) -> Void
  ) -> [Rule] {
    var rules = [
      Rule(
        name: "users", table: users,
        templates: [
          template("user:{id}", .literal(bytes("user:")), .column("id", [])),
          template("mail:{email|lower}", .literal(bytes("mail:")), .column("email", [.lower])),
        ], redeleteAfter: shortest > 0 ? .nanoseconds(shortest) : nil),
      Rule(
        name: "vips", table: users, conditions: [Rule.Condition(column: "vip", values: ["t"])],
        templates: [template("vip:{id}", .literal(bytes("vip:")), .column("id", []))]),
      Rule(
        name: "regulars", table: users, conditions: [Rule.Condition(column: "vip", values: ["f"])],
        templates: [template("regular:{id}", .literal(bytes("regular:")), .column("id", []))]),
      Rule(
        name: "guests", table: users, conditions: [Rule.Condition(column: "vip", values: [nil])],
        templates: [template("guest:{id}", .literal(bytes("guest:")), .column("id", []))]),
      Rule(
        name: "names", table: users, operations: [.insert, .update, .delete], whenChanged: ["name"],
        templates: [template("name:{id}", .literal(bytes("name:")), .column("id", []))]),
      Rule(
        name: "orders", table: TableName(schema: "public", name: "Orders"),
        templates: [
          template("order[v1]:{id}", .literal(bytes("order[v1]:")), .column("id", [])),
          template(
            "cart:{{{id}}}", .literal(bytes("cart:{")), .column("id", []), .literal(bytes("}"))),
        ], redeleteAfter: shortest > 0 ? .nanoseconds(2 * shortest) : nil),
      Rule(
        name: "edits", table: users, operations: [.update],
        templates: [template("edit:{id}", .literal(bytes("edit:")), .column("id", []))]),
    ]
    if takingMessages {
      rules.append(
        Rule(
          messages: "messages", pattern: "note:*",
          redeleteAfter: shortest > 0 ? .nanoseconds(shortest) : nil))
    }
    return rules.map { rule in
      var rule = rule
      adjust(&rule)
      return rule
    }
  }

  /// Keys of other applications that a careless flush pattern would take along.
  static let bystanders = ["orderv:1", "order1:2", "usersx", "xuser:1", "cart:5", "names:1"]

  private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  private static func template(_ text: String, _ segments: KeyTemplate.Segment...) -> KeyTemplate {
    KeyTemplate(text: text, segments: segments)
  }
}
