import Invalidation
import Yams

/// The section `rules`. Nothing in it is expanded.
extension ConfigurationReader {
  /// `hasReplicas`: every key is deleted a second time, and a flush may have to do that.
  mutating func rules(_ node: Node?, onGap: GapPolicy, hasReplicas: Bool) -> [Rule] {
    guard let entries = list(node, of: "rules") else { return [] }
    var rules: [Rule] = []
    var names: [String: Place?] = [:]
    var messages: [Node] = []
    for entry in entries {
      let takesMessages = entry.mapping?["messages"] != nil
      if takesMessages { messages.append(entry) }
      let rule =
        takesMessages
        ? messageRule(entry, onGap: onGap, hasReplicas: hasReplicas, names: &names)
        : rule(entry, onGap: onGap, hasReplicas: hasReplicas, names: &names)
      if let rule { rules.append(rule) }
    }
    refuseSecond(messages)
    Self.nameNameless(&rules)
    return rules
  }

  /// The table's name, or `messages`, with #2, #3, ... when that is taken.
  private static func nameNameless(_ rules: inout [Rule]) {
    var taken = Set(rules.map(\.name))
    var numbers: [String: Int] = [:]
    for index in rules.indices where rules[index].name.isEmpty {
      let subject = rules[index].table?.description ?? "messages"
      var name = subject
      var number = numbers[subject] ?? 2
      while !taken.insert(name).inserted {
        name = "\(subject)#\(number)"
        number += 1
      }
      numbers[subject] = number
      rules[index].name = name
    }
  }

  /// A rule without a `name:` comes back with an empty one.
  private mutating func rule(
    _ node: Node, onGap: GapPolicy, hasReplicas: Bool, names: inout [String: Place?]
  ) -> Rule? {
    let fields = fields(
      of: node, of: "a rule",
      known: [
        "name", "table", "on", "when_changed", "where", "keys", "redelete_after", "pattern", "on_gap",
        "messages",
      ],
      required: ["table", "keys"])
    guard let fields else { return nil }
    let name = name(fields["name"], names: &names)
    let table = table(fields["table"])
    let operations = operations(fields["on"])
    let whenChanged = whenChanged(fields["when_changed"], operations: operations)
    let conditions = conditions(fields["where"])
    let templates = templates(fields["keys"])
    let pattern = pattern(fields["pattern"])
    let ruleOnGap: GapPolicy? = ruleChoice(fields["on_gap"])
    let redeleteAfter = redeleteAfter(fields["redelete_after"])
    if let alternative = Self.alternativeToPattern(fields, hasReplicas, ruleOnGap ?? onGap) {
      requirePrefixes(templates, unless: alternative)
    }
    guard let table else { return nil }
    return Rule(
      name: name ?? "", table: table, operations: operations, whenChanged: whenChanged,
      conditions: conditions, templates: templates.map(\.template), pattern: pattern, onGap: ruleOnGap,
      redeleteAfter: redeleteAfter)
  }

  /// What would let the rule do without the pattern that it lacks; nil when it has one, or needs none.
  private static func alternativeToPattern(
    _ fields: [String: Node], _ hasReplicas: Bool, _ onGap: GapPolicy
  ) -> String? {
    guard fields["pattern"] == nil else { return nil }
    if hasReplicas || fields["redelete_after"] != nil {
      return "no second deletes (redelete_after, source.replicas)"
    }
    return onGap == .flush ? "on_gap: halt or on_gap: ignore" : nil
  }

  // MARK: - Messages

  /// A rule with `messages: true`, which has neither a table nor what is made of its rows.
  private mutating func messageRule(
    _ node: Node, onGap: GapPolicy, hasReplicas: Bool, names: inout [String: Place?]
  ) -> Rule? {
    let own = ["messages", "name", "redelete_after", "pattern", "on_gap"]
    let ofRows = ["table", "on", "when_changed", "where", "keys"]
    guard let fields = fields(of: node, of: "a rule of messages", known: own + ofRows) else { return nil }
    requireTrue(fields["messages"])
    for name in ofRows {
      guard let value = fields[name] else { continue }
      problem(
        "\(name), which a rule of messages does not have",
        expected: "those of \(own.joined(separator: ", ")) alone", at: value.place)
    }
    let name = name(fields["name"], names: &names)
    let pattern = pattern(fields["pattern"])
    let ruleOnGap: GapPolicy? = ruleChoice(fields["on_gap"])
    let redeleteAfter = redeleteAfter(fields["redelete_after"])
    if let alternative = Self.alternativeToPattern(fields, hasReplicas, ruleOnGap ?? onGap) {
      requirePattern(of: node, unless: alternative)
    }
    return Rule(messages: name ?? "", pattern: pattern, onGap: ruleOnGap, redeleteAfter: redeleteAfter)
  }

  private mutating func requireTrue(_ node: Node?) {
    let expected = "true; a rule about rows has no messages:"
    guard let node, let text = literal(node, expected: expected), text.value != "true" else { return }
    problem(text.shown, expected: expected, at: text.place)
  }

  /// Which keys messages named is known by nothing else when one of them was missed.
  private mutating func requirePattern(of node: Node, unless alternative: String) {
    problem(
      "a rule of messages without a pattern to flush by",
      expected: "pattern: with a glob that covers the keys which messages name, or \(alternative)",
      at: node.place)
  }

  private mutating func refuseSecond(_ rules: [Node]) {
    for rule in rules.dropFirst() {
      let line = rules[0].place.map { ": the first is at line \($0.line)" } ?? ""
      problem("a second rule of messages", expected: "one of them\(line)", at: rule.place)
    }
  }

  private mutating func redeleteAfter(_ node: Node?) -> Duration? {
    let expected = "a number and its unit from 1ms to 1h, as in 500ms"
    guard let node, let text = literal(node, expected: expected) else { return nil }
    guard let delay = Duration(text: text.value), delay > .zero, delay <= .seconds(3_600) else {
      problem(text.shown, expected: expected, at: text.place)
      return nil
    }
    return delay
  }

  private mutating func name(_ node: Node?, names: inout [String: Place?]) -> String? {
    guard let node, let text = literal(node, expected: "a name") else { return nil }
    let isControl = { (scalar: Unicode.Scalar) in scalar.value < 0x20 || scalar.value == 0x7f }
    guard (1...200).contains(text.value.utf8.count), !text.value.unicodeScalars.contains(where: isControl)
    else {
      problem(text.shown, expected: "a name of 1 to 200 bytes without control characters", at: text.place)
      return nil
    }
    if let first = names[text.value] {
      let line = first.map { ": the first is at line \($0.line)" } ?? ""
      problem(
        "a second rule named \(text.shown)", expected: "each rule's name once\(line)", at: text.place)
      return nil
    }
    names[text.value] = .some(text.place)
    return text.value
  }

  private mutating func table(_ node: Node?) -> TableName? {
    let expected = "a table: public.users, users or public.\"Order Items\""
    guard let node, let text = literal(node, expected: expected) else { return nil }
    do {
      return try TableName(sql: text.value)
    } catch {
      problem("\(error.found) in \(text.shown)", expected: expected, at: text.place)
      return nil
    }
  }

  private static let operationNames: KeyValuePairs<String, Operations> = [
    "insert": .insert, "update": .update, "delete": .delete, "truncate": .truncate,
  ]

  private mutating func operations(_ node: Node?) -> Operations {
    let names = Self.operationNames.map(\.key)
    guard let entries = list(node, of: names.joined(separator: ", ")) else { return .all }
    var operations: Operations = []
    for entry in entries {
      let expected = "one of \(names.joined(separator: ", "))"
      guard let text = literal(entry, expected: expected) else { continue }
      guard let operation = Self.operationNames.first(where: { $0.key == text.value })?.value else {
        let nearest = nearestName(to: text.value, among: names).map { "; the nearest is \"\($0)\"" } ?? ""
        problem(text.shown, expected: expected + nearest, at: text.place)
        continue
      }
      if !operations.insert(operation).inserted {
        problem("\(text.shown) a second time", expected: "each operation once", at: text.place)
      }
    }
    return operations.isEmpty ? .all : operations
  }

  private mutating func whenChanged(_ node: Node?, operations: Operations) -> [String] {
    guard let node, let entries = list(node, of: "columns") else { return [] }
    if !operations.contains(.update) {
      problem(
        "when_changed in a rule without updates", expected: "update in on:, or no when_changed",
        at: node.place)
    }
    var columns: [String] = []
    var known: Set<String> = []
    for entry in entries {
      guard let text = literal(entry, expected: "the name of a column") else { continue }
      if !known.insert(text.value).inserted {
        problem("\(text.shown) a second time", expected: "each column once", at: text.place)
      }
      columns.append(text.value)
    }
    return columns
  }

  // MARK: - Keys

  private struct PlacedTemplate {
    var template: KeyTemplate
    var place: Place?
  }

  private mutating func templates(_ node: Node?) -> [PlacedTemplate] {
    let expected = "a key template such as user:{id}"
    var templates: [PlacedTemplate] = []
    var texts: Set<String> = []
    for entry in list(node, of: "key templates, as in [\"user:{id}\"]") ?? [] {
      guard let text = literal(entry, expected: expected) else { continue }
      if !texts.insert(text.value).inserted {
        problem("the template \(text.shown) a second time", expected: "each template once", at: text.place)
      }
      do {
        let template = try KeyTemplate(parsing: text.value)
        refuseOwnKeys(template, text)
        templates.append(PlacedTemplate(template: template, place: text.place))
      } catch {
        problem(
          "\(error.found) in the template \(text.shown)", expected: error.expected,
          at: place(in: text, offset: error.offset))
      }
    }
    return templates
  }

  /// A rule would delete leases or the watermark itself.
  private mutating func refuseOwnKeys(_ template: KeyTemplate, _ text: Text) {
    guard case .literal(let bytes)? = template.segments.first, bytes.starts(with: "cdcd:".utf8) else {
      return
    }
    problem(
      "the template \(text.shown), whose keys are cdcd's own", expected: "keys that do not begin with cdcd:",
      at: text.place)
  }

  /// A gap, and second deletes that wait too long, are answered by deleting what a pattern matches; a template that
  /// begins with a column has none.
  private mutating func requirePrefixes(_ templates: [PlacedTemplate], unless alternative: String) {
    for placed in templates where placed.template.flushPattern == nil {
      problem(
        "the template \(shown(placed.template.text)), whose keys have no common beginning to flush by",
        expected: "pattern: with a glob that covers its keys, or \(alternative)",
        at: placed.place)
    }
  }

  private mutating func pattern(_ node: Node?) -> String? {
    let expected = "a glob in Redis's syntax, such as order:*"
    guard let node, let text = literal(node, expected: expected) else { return nil }
    guard !text.value.isEmpty else {
      problem(text.shown, expected: expected, at: text.place)
      return nil
    }
    // The pattern of the keys' leases goes on behind it.
    guard Glob.isFinished(Array(text.value.utf8)) else {
      problem(
        "\(text.shown), a glob without its end",
        expected: "a ] for each [, and something behind each \\; \\[ and \\\\ stand for themselves",
        at: text.place)
      return nil
    }
    return text.value
  }

  private mutating func ruleChoice(_ node: Node?) -> GapPolicy? {
    let names = GapPolicy.allCases.map(\.rawValue)
    let expected = "one of \(names.joined(separator: ", "))"
    guard let node, let text = literal(node, expected: expected) else { return nil }
    guard let policy = GapPolicy(rawValue: text.value) else {
      let nearest = nearestName(to: text.value, among: names).map { "; the nearest is \"\($0)\"" } ?? ""
      problem(text.shown, expected: expected + nearest, at: text.place)
      return nil
    }
    return policy
  }

  // MARK: - Conditions

  private mutating func conditions(_ node: Node?) -> [Rule.Condition] {
    guard let node else { return [] }
    guard case .mapping(let mapping) = node, !mapping.isEmpty else {
      let found = node.mapping == nil ? node.kind : "an empty mapping"
      problem(found, expected: "columns and their values, as in {status: [paid, shipped]}", at: node.place)
      return []
    }
    var conditions: [Rule.Condition] = []
    for (key, value) in mapping {
      guard let column = literal(key, expected: "the name of a column") else { continue }
      conditions.append(Rule.Condition(column: column.value, values: conditionValues(value)))
    }
    return conditions
  }

  private mutating func conditionValues(_ node: Node) -> [String?] {
    guard case .sequence = node else { return conditionValue(node).map { [$0] } ?? [] }
    return (list(node, of: "values") ?? []).compactMap { conditionValue($0) }
  }

  /// A value as PostgreSQL prints it: NULL is nil in `some`. Nil when a problem was recorded.
  private mutating func conditionValue(_ node: Node) -> String?? {
    guard case .scalar(let scalar) = node else {
      problem(node.kind, expected: "a text, a number, true, false, null, or a list of them", at: node.place)
      return nil
    }
    if scalar.isNull { return .some(nil) }
    guard scalar.isPlain else { return .some(scalar.string) }
    switch scalar.string {
    case "true", "True", "TRUE": return .some("t")
    case "false", "False", "FALSE": return .some("f")
    case let word where ["yes", "no", "on", "off"].contains(word.lowercased()):
      problem(
        "\(word), which is a truth value to some readers of YAML and a text to others",
        expected: "true, false or \"\(word)\" in quotes", at: node.place)
      return nil
    default: return .some(scalar.string)
    }
  }
}
