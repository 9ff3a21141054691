import Testing

@testable import Invalidation

@Suite struct ConditionIndexTests {
  private static func rule(_ name: String, _ conditions: [Rule.Condition] = []) -> Rule {
    Rule(
      name: name, table: TableName(schema: "public", name: "users"), conditions: conditions,
      templates: [testTemplate(.literal(Array("\(name):".utf8)), .column("id"))])
  }

  private static func rule(_ name: String, kind values: String?...) -> Rule {
    rule(name, [Rule.Condition(column: "kind", values: values)])
  }

  private static let kinds = [
    rule("any"), rule("a", kind: "a", "a"), rule("b", kind: "b", "bb"), rule("none", kind: "a", nil),
  ]
  private static let whole = testRelation(["id", "kind"], identity: .full)

  /// The places of the rules that a change is rendered for.
  private func asked(
    _ operation: Operations, _ message: [UInt8], by rules: [Rule] = kinds, of relation: Relation = whole
  ) throws -> [Int] {
    var images = RowImages()
    _ = try PgoutputDecoder.decode(message.span, at: 0, into: &images)
    return rendered(BoundRelation(relation, rules: rules), operation, images, message).map(\.index)
  }

  private func rendered(
    _ bound: BoundRelation, _ operation: Operations, _ images: RowImages, _ message: [UInt8]
  ) -> [BoundRule] {
    bound.conditionIndex?.rules(for: operation, images, of: message.span) ?? bound.rules
  }

  @Test(
    arguments: [
      ("a", [0, 1, 3]), ("b", [0, 2]), ("bb", [0, 2]), ("bbb", [0]), ("", [0]), (nil, [0, 3]),
    ] as [(String?, [Int])]) func aTextConcernsTheRulesThatTestForIt(_ text: String?, _ places: [Int]) throws
  {
    let row: [TestColumn] = ["1", text.map { .text($0) } ?? .null]
    #expect(try asked(.insert, TestMessage.insert(row)) == places)
    #expect(try asked(.update, TestMessage.update(old: row, new: row)) == places)
  }

  @Test func aColumnThatChangesConcernsEveryRule() throws {
    let moved = TestMessage.update(old: ["1", "a"], new: ["1", "c"])
    #expect(try asked(.update, moved) == [0, 1, 2, 3])
  }

  @Test func anOldImageThatIsNotWholeConcernsEveryRule() throws {
    #expect(try asked(.update, TestMessage.update(new: ["1", "c"])) == [0, 1, 2, 3])
    #expect(try asked(.update, TestMessage.update(key: ["1", "c"], new: ["1", "c"])) == [0, 1, 2, 3])
    #expect(try asked(.delete, TestMessage.delete(key: ["1", "c"])) == [0, 1, 2, 3])
  }

  @Test func aRuleThatOldImagesDoNotCoverIsAlwaysAsked() throws {
    let relation = testRelation(["id!", "kind!", "state"])
    let state = Self.rule(
      "state", [.init(column: "state", values: ["x"]), .init(column: "kind", values: ["a"])])
    let missing = Self.rule("missing", [.init(column: "gone", values: ["x"])])
    let rules = Self.kinds + [state, missing]
    #expect(
      try asked(.update, TestMessage.update(new: ["1", "c", "y"]), by: rules, of: relation) == [0, 4, 5])
  }

  @Test func aRuleOfInsertsNeedsNoOldImages() throws {
    let relation = testRelation(["id!", "state"])
    let rules = ["a", "b", "c"].map { state in
      var rule = Self.rule(state, [.init(column: "state", values: [state])])
      rule.operations = .insert
      return rule
    }
    #expect(try asked(.insert, TestMessage.insert(["1", "b"]), by: rules, of: relation) == [1])
  }

  @Test func aFewRulesAreTriedOneAfterTheOther() throws {
    #expect(
      try asked(.insert, TestMessage.insert(["1", "c"]), by: [Self.kinds[1], Self.kinds[2]]) == [0, 1])
  }

  /// Else every one of 200 texts had a list of 2,000.
  @Test func manyRulesThatAreAlwaysAskedHaveNoIndex() throws {
    let always = (0..<2_000).map { Self.rule("always-\($0)") }
    let tested = (0..<200).map { Self.rule("tested-\($0)", kind: "\($0)") }
    #expect(try asked(.insert, TestMessage.insert(["1", "c"]), by: always + tested).count == 2_200)
    #expect(try asked(.insert, TestMessage.insert(["1", "7"]), by: always.prefix(20) + tested).count == 21)
  }

  @Test func theColumnThatTheMostRulesTestDecides() throws {
    let relation = testRelation(["id", "kind", "state"], identity: .full)
    let rules = ["x", "y", "z", "w"].map { state in
      Self.rule(state, [.init(column: "kind", values: ["a"]), .init(column: "state", values: [state])])
    }
    let message = TestMessage.insert(["1", "a", "z"])
    let oneMore = Self.rule("v", [.init(column: "state", values: ["v"])])
    #expect(
      try asked(.insert, message, by: rules + Self.kinds.dropFirst(), of: relation) == [0, 1, 2, 3, 4, 6])
    #expect(
      try asked(.insert, message, by: rules + [oneMore], of: relation)
        == [2])
  }

  // MARK: Against all rules, one after the other

  @Test(arguments: 0..<300) func itLeavesOutNothingThatMatters(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    for _ in 0..<20 {
      let relation = randomRelation(&random)
      let bound = BoundRelation(
        relation, rules: (0..<Int.random(in: 3...9, using: &random)).map { _ in randomRule(&random) })
      for _ in 0..<10 {
        let (operation, message) = randomMessage(&random)
        var images = RowImages()
        _ = try PgoutputDecoder.decode(message.span, at: 0, into: &images)
        images.isUnpaired = Int.random(in: 0..<8, using: &random) == 0
        let asked = rendered(bound, operation, images, message)
        #expect(
          effects(of: asked, operation, images, message)
            == effects(of: bound.rules, operation, images, message))
      }
    }
  }

  private func randomRelation(_ random: inout SplitMix64) -> Relation {
    let identities: [Relation.ReplicaIdentity] = [.full, .primaryKey, .nothing]
    return testRelation(
      ["id!", "kind!", "state"], identity: identities.randomElement(using: &random) ?? .full)
  }

  /// The keys, and the rules that have to be flushed.
  private func effects(
    of rules: [BoundRule], _ operation: Operations, _ images: RowImages, _ message: [UInt8]
  ) -> [String] {
    var keys = KeyBuffer()
    let incomplete = rules.filter {
      $0.render(operation, images, of: message.span, into: &keys) == .incomplete
    }
    return (0..<keys.count).map { String(decoding: keys[$0], as: UTF8.self) }
      + incomplete.map { "flush \($0.index)" }
  }

  private func randomRule(_ random: inout SplitMix64) -> Rule {
    func chance(_ most: Int) -> Bool { Int.random(in: 0..<most, using: &random) == 0 }
    var rule = Self.rule("r\(Int.random(in: 0..<100, using: &random))")
    for column in ["kind", "state", "id"] where !chance(3) {
      let values = (0..<Int.random(in: 1...3, using: &random)).map { _ in randomText(&random) }
      rule.conditions.append(Rule.Condition(column: column, values: values))
    }
    if chance(3) { rule.conditions = rule.conditions.filter { $0.column == "kind" } }
    if chance(4) { rule.whenChanged = ["kind"] }
    if chance(3) { rule.operations = chance(2) ? [.insert, .delete] : .insert }
    if chance(20) { rule.conditions.append(Rule.Condition(column: "gone", values: ["a"])) }
    return rule
  }

  private func randomText(_ random: inout SplitMix64) -> String? {
    [nil, "", "a", "b", "bb"].randomElement(using: &random) ?? nil
  }

  private func randomMessage(_ random: inout SplitMix64) -> (Operations, [UInt8]) {
    func row(_ unchanged: Bool = false) -> [TestColumn] {
      (0..<3).map { _ in
        if unchanged, Int.random(in: 0..<6, using: &random) == 0 { return .unchanged }
        return randomText(&random).map { .text($0) } ?? .null
      }
    }
    let new = row(true)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return (.insert, TestMessage.insert(row()))
    case 1: return (.update, TestMessage.update(new: new))
    case 2: return (.update, TestMessage.update(key: row(), new: new))
    case 3: return (.update, TestMessage.update(old: row(), new: new))
    case 4: return (.update, TestMessage.update(old: new, new: new))
    default: return (.delete, TestMessage.delete(key: row()))
    }
  }
}
