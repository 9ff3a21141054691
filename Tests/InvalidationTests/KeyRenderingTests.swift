import Testing

@testable import Invalidation

@Suite struct KeyRenderingTests {
  private func keys(
    _ rule: Rule, _ relation: Relation, _ operation: Operations, _ message: [UInt8]
  ) throws -> (RuleOutcome, [String]) {
    let bound = BoundRelation(relation, rules: [rule])
    var images = RowImages()
    _ = try PgoutputDecoder.decode(message.span, at: 0, into: &images)
    var buffer = KeyBuffer()
    let outcome = try #require(bound.rules.first).render(operation, images, of: message.span, into: &buffer)
    return (outcome, (0..<buffer.count).map { String(decoding: buffer[$0], as: UTF8.self) })
  }

  private let table = TableName(schema: "public", name: "users")
  private var byID: Rule {
    Rule(name: "users", table: table, templates: [testTemplate("user:", .column("id"))])
  }
  private var byEmail: Rule {
    Rule(
      name: "users", table: table,
      templates: [testTemplate("user:", .column("id")), testTemplate("mail:", .column("email", [.lower]))])
  }

  @Test func insertGivesTheNewKey() throws {
    let relation = testRelation(["id!", "email"])
    let (outcome, keys) = try keys(byID, relation, .insert, TestMessage.insert(["1", "a"]))
    #expect(outcome == .rendered)
    #expect(keys == ["user:1"])
  }

  @Test func primaryKeyChangeGivesBothKeys() throws {
    let relation = testRelation(["id!", "email"])
    let message = TestMessage.update(key: ["1", nil], new: ["2", "a"])
    #expect(try keys(byID, relation, .update, message).1 == ["user:2", "user:1"])
  }

  @Test func equalImagesGiveOneKey() throws {
    let relation = testRelation(["id", "email"], identity: .full)
    let message = TestMessage.update(old: ["1", "A"], new: ["1", "B"])
    #expect(try keys(byEmail, relation, .update, message).1 == ["user:1", "mail:b", "mail:a"])
  }

  @Test func deleteGivesTheOldKey() throws {
    let relation = testRelation(["id!", "email"])
    #expect(try keys(byID, relation, .delete, TestMessage.delete(key: ["1", nil])).1 == ["user:1"])
  }

  @Test func nullGivesNoKey() throws {
    let relation = testRelation(["id", "email"], identity: .full)
    let message = TestMessage.update(old: ["1", nil], new: ["1", "B"])
    #expect(try keys(byEmail, relation, .update, message).1 == ["user:1", "mail:b"])
  }

  @Test func unchangedToastIsTakenFromTheOldImage() throws {
    let relation = testRelation(["id", "email"], identity: .full)
    let message = TestMessage.update(old: ["1", "long"], new: ["1", .unchanged])
    #expect(try keys(byEmail, relation, .update, message).1 == ["user:1", "mail:long"])
  }

  @Test func whatTheImageLacksIsNotGuessed() throws {
    let uncovered = testRelation(["id!", "email"])
    let problem = try #require(BoundRelation(uncovered, rules: [byEmail]).rules.first?.problem)
    #expect(problem.contains("ALTER TABLE \"public\".\"users\" REPLICA IDENTITY FULL"))
    let update = TestMessage.update(new: ["1", "b"])
    #expect(try keys(byEmail, uncovered, .update, update).0 == .incomplete)
    #expect(try keys(byEmail, uncovered, .insert, TestMessage.insert(["1", "b"])).1 == ["user:1", "mail:b"])
    let lost = testRelation(["id!", "mail"])
    #expect(try keys(byEmail, lost, .insert, TestMessage.insert(["1", "b"])).0 == .incomplete)
  }

  @Test func anEnormousKeyIsNoKey() throws {
    let relation = testRelation(["id!", "email"])
    let fits = String(repeating: "x", count: BoundRule.keyByteLimit - 5)
    #expect(try keys(byID, relation, .insert, TestMessage.insert([.text(fits), nil])).1.count == 1)
    let tooLong = try keys(byID, relation, .insert, TestMessage.insert([.text(fits + "x"), nil]))
    #expect(tooLong.0 == .incomplete && tooLong.1.isEmpty)
  }

  @Test func noRowNamesAKeyOfItsWatermark() throws {
    var rule = byID
    rule.templates = [try KeyTemplate(parsing: "{id}")]
    let relation = testRelation(["id!", "email"])
    for (id, gone) in [
      ("cdcd:wm:7301:cdcd", []), ("cdcd:rules:7301:cdcd", []), ("cdcd:wmx", ["cdcd:wmx"]), ("c", ["c"]),
      ("", [""]),
    ] {
      let outcome = try keys(rule, relation, .insert, TestMessage.insert([.text(id), nil]))
      #expect(outcome.0 == .rendered && outcome.1 == gone)
    }
  }

  @Test func operationsAreRespected() throws {
    var rule = byID
    rule.operations = [.delete]
    let relation = testRelation(["id!", "email"])
    #expect(try keys(rule, relation, .insert, TestMessage.insert(["1", "a"])).0 == .otherOperation)
  }

  @Test func whenChangedComparesImages() throws {
    var rule = byID
    rule.whenChanged = ["email"]
    let relation = testRelation(["id", "email"], identity: .full)
    let same = TestMessage.update(old: ["1", "a"], new: ["1", "a"])
    #expect(try keys(rule, relation, .update, same).0 == .unchanged)
    let toast = TestMessage.update(old: ["1", "a"], new: ["1", .unchanged])
    #expect(try keys(rule, relation, .update, toast).0 == .unchanged)
    let other = TestMessage.update(old: ["1", "a"], new: ["1", nil])
    #expect(try keys(rule, relation, .update, other).1 == ["user:1"])
    let empty = TestMessage.update(old: ["1", ""], new: ["1", nil])
    #expect(try keys(rule, relation, .update, empty).1 == ["user:1"])
  }

  @Test func whereHoldsForEitherImage() throws {
    var rule = byID
    rule.conditions = [Rule.Condition(column: "email", values: ["x", nil])]
    let relation = testRelation(["id", "email"], identity: .full)
    #expect(try keys(rule, relation, .insert, TestMessage.insert(["1", "a"])).0 == .conditionNotMet)
    #expect(try keys(rule, relation, .insert, TestMessage.insert(["1", nil])).1 == ["user:1"])
    let left = TestMessage.update(old: ["1", "x"], new: ["1", "a"])
    #expect(try keys(rule, relation, .update, left).1 == ["user:1"])
    let never = TestMessage.update(old: ["1", "b"], new: ["1", "a"])
    #expect(try keys(rule, relation, .update, never).0 == .conditionNotMet)
  }

  @Test(arguments: [
    (KeyFunction.lower, "ÄÖ Straße", "äö straße"), (.upper, "abcÄ", "ABCÄ"), (.trim, "  a b ", "a b"),
    (.trim, "   ", ""), (.url, "a b/ü~", "a%20b%2F%C3%BC~"), (.md5, "", "d41d8cd98f00b204e9800998ecf8427e"),
    (.sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (.sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
  ]) func functions(_ function: KeyFunction, _ input: String, _ output: String) {
    #expect(String(decoding: function.apply(Array(input.utf8)), as: UTF8.self) == output)
  }

  @Test func flushPatternsEscapeLiterals() {
    let rule = Rule(
      name: "r", table: table, templates: [testTemplate("a*[b]?\\:", .column("id"), ":", .column("email"))])
    #expect(rule.flushPatterns == [Array("a\\*\\[b\\]\\?\\\\:*:*".utf8)])
    let open = Rule(name: "r", table: table, templates: [testTemplate(.column("id"))])
    #expect(open.flushPatterns.isEmpty)
  }
}
