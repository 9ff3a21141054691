import Testing

@testable import Invalidation

@Suite struct GlobTests {
  /// `GlobFactTests` asks Redis itself.
  @Test(arguments: [
    ("", "", true), ("", "a", false), ("*", "", true), ("a*", "a", true), ("a*c", "abbc", true),
    ("a*c", "abcd", false), ("*a*b*", "xxaxxbxx", true), ("a?c", "abc", true), ("a?c", "ac", false),
    ("user:[0-9]*", "user:7", true), ("user:[0-9]*", "user:x", false), ("[^a-c]", "d", true),
    ("[^a-c]", "b", false), ("[c-a]", "b", true), ("[]", "a", false), ("[ab", "b", true),
    ("[a\\]b]", "]", true),
    ("a\\*c", "a*c", true), ("a\\*c", "abc", false), ("a\\", "a\\", true), ("**", "a", true),
    ("a", "ab", false), ("ab", "a", false),
  ])
  func matches(_ pattern: String, _ key: String, _ expected: Bool) {
    #expect(Glob.matches(Array(pattern.utf8), Array(key.utf8)) == expected)
  }

  @Test(
    "a glob is finished when it means the same before further text",
    arguments: [
      ("user:*", true), ("", true), ("[ab]*", true), ("[^]", true), ("[]", true), ("a\\*", true),
      ("a]", true),
      ("[a\\]]", true), ("[ab", false), ("a[", false), ("[^", false), ("[a\\]", false), ("[a-]", false),
      ("tr\\", false), ("[a\\", false), ("tr\\\\", true),
    ])
  func finished(_ pattern: String, _ isFinished: Bool) {
    let glob = Array(pattern.utf8)
    #expect(Glob.isFinished(glob) == isFinished)
    guard isFinished else { return }
    let keys = ["a", "]", "a]", "user:", "[", "tr\\", "", "ab"].map { Array($0.utf8) }
    for key in keys {
      #expect(Glob.matches(glob + [UInt8(ascii: "}")], key + [UInt8(ascii: "}")]) == Glob.matches(glob, key))
    }
  }

  @Test(arguments: [
    ("user:7", ["users", "anything"]), ("user:", ["users"]), ("page:1", ["pages"]), ("7", ["anything"]),
    ("order*1", ["stars"]), ("order:1", []), ("users:7", ["anything"]), ("7:users", []),
  ])
  func rulesThatMayGiveAKey(_ key: String, _ names: [String]) {
    let rules = [
      rule("users", [.literal(Array("user:".utf8)), .column("id", [])]),
      rule("stars", [.literal(Array("order*".utf8)), .column("id", [])]),
      rule("anything", [.column("id", []), .literal(Array("7".utf8))]),
      Rule(messages: "pages", pattern: "page:*"),
    ]
    #expect(rules.filter { $0.mayGive(Array(key.utf8)) }.map(\.name) == names)
    #expect(Rule(messages: "any", onGap: .ignore).mayGive(Array(key.utf8)))
  }

  @Test func theNearestTemplateIsByItsText() throws {
    let rules = [
      rule("users", [.literal(Array("user:".utf8)), .column("a_very_long_name_of_a_column", [])]),
      rule("orders", [.literal(Array("order:".utf8)), .column("id", [])]),
    ]
    #expect(try #require(rules.nearestTemplate(to: Array("usr:1234".utf8))).rule == "users")
    #expect(try #require(rules.nearestTemplate(to: Array("orders:1".utf8))).rule == "orders")
    #expect([Rule(messages: "any", pattern: "a*")].nearestTemplate(to: [0x61]) == nil)
  }

  private func rule(_ name: String, _ segments: [KeyTemplate.Segment]) -> Rule {
    Rule(
      name: name, table: TableName(schema: "public", name: name),
      templates: [KeyTemplate(text: name + " template", segments: segments)])
  }
}
