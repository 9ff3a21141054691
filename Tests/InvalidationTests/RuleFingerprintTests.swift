import Testing

@testable import Invalidation

@Suite struct RuleFingerprintTests {
  private static let users = TableName(schema: "public", name: "users")
  private static let orders = TableName(schema: "public", name: "orders")

  private func rule(_ table: TableName, key: String, name: String = "r") -> Rule {
    Rule(name: name, table: table, templates: [testTemplate(.literal(Array(key.utf8)), .column("id"))])
  }

  private func set(_ keys: [(TableName, String)], users: String = "1", orders: String = "1")
    -> RuleSetFingerprint
  {
    RuleSetFingerprint(
      keys.map { rule($0.0, key: $0.1) }, publication: [Self.users: users, Self.orders: orders])
  }

  @Test func tellsWhichRulesDiffer() {
    let stored = set([(Self.users, "u:"), (Self.orders, "o:")])
    func differences(_ present: RuleSetFingerprint) -> RuleSetFingerprint.Differences {
      present.differences(from: stored.text, of: stored.whole)
    }
    #expect(differences(stored) == .init())
    #expect(differences(set([(Self.orders, "o:"), (Self.users, "u:")])) == .init(), "in another order")
    #expect(differences(set([(Self.users, "u:")])) == .init(), "a rule less is no gap")
    #expect(differences(set([(Self.users, "u:"), (Self.orders, "p:")])) == .init(changed: [1]))
    #expect(
      differences(set([(Self.users, "u:"), (Self.orders, "o:"), (Self.users, "n:")])) == .init(changed: [2]))
    #expect(
      differences(set([(Self.users, "u:"), (Self.orders, "o:")], users: "2")) == .init(republished: [0]))
    #expect(
      differences(set([(Self.users, "n:"), (Self.orders, "o:")], users: "2", orders: "3"))
        == .init(changed: [0], republished: [1]))
  }

  @Test func withoutTheSetOfTheWatermarkEveryRuleCounts() {
    let stored = set([(Self.users, "u:"), (Self.orders, "o:")])
    let present = set([(Self.users, "u:"), (Self.orders, "o:")], users: "2")
    for text in [[], Array("nonsense".utf8), set([(Self.users, "u:")]).text] {
      #expect(present.differences(from: text, of: stored.whole) == .init(changed: [0, 1]))
    }
    #expect(
      stored.differences(from: [], of: stored.whole) == .init(), "the watermark says that nothing changed")
  }

  @Test func aRuleOfMessagesIsOneMore() {
    let stored = set([(Self.users, "u:")])
    func present(_ name: String, _ pattern: String) -> RuleSetFingerprint {
      RuleSetFingerprint(
        [rule(Self.users, key: "u:"), Rule(messages: name, pattern: pattern)], publication: [Self.users: "1"])
    }
    let first = present("messages", "note:*")
    #expect(first.differences(from: stored.text, of: stored.whole) == .init(changed: [1]))
    #expect(present("m", "n:*").differences(from: first.text, of: first.whole) == .init())
  }

  @Test func namesAreNoPartOfIt() {
    #expect(
      rule(Self.users, key: "u:", name: "a").fingerprint == rule(Self.users, key: "u:", name: "b").fingerprint
    )
  }
}
