import Testing

@testable import Invalidation

@Suite struct KeyMessageTests {
  private func decode(_ content: [UInt8]) -> (keys: [[UInt8]], problems: [KeyMessage.Problem]) {
    var keys = KeyBuffer()
    var problems: [KeyMessage.Problem] = []
    KeyMessage.decode(lines: content.span, rule: 3, into: &keys, &problems)
    #expect(keys.rules.allSatisfy { $0 == 3 } && keys.openByteCount == 0)
    return ((0..<keys.count).map { keys[$0] }, problems)
  }

  private func decode(_ content: String) -> (keys: [String], problems: [KeyMessage.Problem]) {
    let (keys, problems) = decode(Array(content.utf8))
    return (keys.map { String(decoding: $0, as: UTF8.self) }, problems)
  }

  @Test(arguments: [
    ("key user:42", ["user:42"]),
    ("key a\nkey b\nkey a\n", ["a", "b", "a"]),
    ("\n\nkey a\n\n", ["a"]),
    ("key  two words \nkey key x", [" two words ", "key x"]),
    ("key größe\r\nkey cart:{1}", ["größe\r", "cart:{1}"]),
    ("key cdcd:l:{a}\nkey cdcd:other", ["cdcd:l:{a}", "cdcd:other"]),
    ("", []), ("\n", []),
  ])
  func aKeyInEachLine(content: String, keys: [String]) {
    #expect(decode(content) == (keys, []))
  }

  @Test(arguments: [
    ("key a\nkeys b\nkey c", ["a", "c"], [KeyMessage.Problem.unknownLine]),
    ("KEY a", [], [.unknownLine]), (" key a", [], [.unknownLine]), ("key", [], [.unknownLine]),
    ("pattern user:*", [], [.unknownLine]), ("key\ta", [], [.unknownLine]),
    ("key \nkey a\nkey ", ["a"], [.emptyKey]),
    ("key cdcd:wm:1:cdcd\nkey cdcd:rules:1:cdcd", [], [.ownKey]),
    ("key a\u{0}b\nkey c", ["c"], [.zeroByte]),
    ("key \nx\nkey \ny\nkey a", ["a"], [.emptyKey, .unknownLine]),
  ])
  func whatIsWrongIsToldOnceAndTheRestCounts(
    content: String, keys: [String], problems: [KeyMessage.Problem]
  ) {
    #expect(decode(content) == (keys, problems))
  }

  private func decode(list: String) throws -> (keys: [String], problems: [KeyMessage.Problem]) {
    var keys = KeyBuffer()
    var problems: [KeyMessage.Problem] = []
    try KeyMessage.decode(list: Array(list.utf8).span, rule: 3, into: &keys, &problems)
    return ((0..<keys.count).map { String(decoding: keys[$0], as: UTF8.self) }, problems)
  }

  @Test func aListOfTheOutbox() throws {
    let list = #"["user:1", "a\nb \"é\"", "", "cdcd:wm:1:cdcd", "", "user:2"]"#
    #expect(try decode(list: list) == (["user:1", "a\nb \"é\"", "user:2"], [.emptyKey, .ownKey]))
    #expect(try decode(list: "[]") == ([], []))
    for length in 0..<list.utf8.count {
      let text = String(decoding: list.utf8.prefix(length), as: UTF8.self)
      #expect(throws: DecodeError.self, "\(text)") { try decode(list: text) }
    }
    for text in ["", "{}", "[1]", "[null]", #"["a""#, #"["a"] x"#, #"["a",]"#] {
      #expect(throws: DecodeError.self, "\(text)") { try decode(list: text) }
    }
  }

  @Test func aKeyHasAnyBytesUpTo1MiB() {
    let verb = Array("key ".utf8)
    let odd: [UInt8] = [0x80, 0xFF, 0x01, 0xC3]
    #expect(decode(verb + odd).keys == [odd])
    let long = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
    #expect(decode(verb + long).keys == [long])
    #expect(decode(verb + long + [UInt8(ascii: "x")]).problems == [.tooLong])
    let lines = Array(repeating: Array("key a\n".utf8), count: 400_000).flatMap(\.self)
    #expect(decode(lines).problems == [.tooManyLines] && decode(lines).keys.isEmpty)
  }

  @Test func anEndAnywhereIsAShorterKeyOrAProblem() {
    let whole = "key a\nkey bc"
    for length in 0...whole.utf8.count {
      let (keys, problems) = decode(String(whole.prefix(length)))
      switch length {
      case 0: #expect(keys.isEmpty && problems.isEmpty)
      case 1...3: #expect(keys.isEmpty && problems == [.unknownLine])
      case 4: #expect(keys.isEmpty && problems == [.emptyKey])
      case 5, 6: #expect(keys == ["a"] && problems.isEmpty)
      case 7...9: #expect(keys == ["a"] && problems == [.unknownLine])
      case 10: #expect(keys == ["a"] && problems == [.emptyKey])
      default: #expect(keys == ["a", String(whole.dropFirst(10).prefix(length - 10))] && problems.isEmpty)
      }
    }
  }
}
