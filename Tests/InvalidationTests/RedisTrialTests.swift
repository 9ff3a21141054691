import Testing

@testable import Invalidation

@Suite struct RedisTrialTests {
  private func trial(
    _ keys: [String], command: EngineConfiguration.DeleteCommand = .unlink, leases: Bool = true
  ) throws -> RedisTrial {
    let templates = try keys.map { try KeyTemplate(parsing: $0) }
    let rule = Rule(name: "r", table: TableName(schema: "public", name: "t"), templates: templates)
    return RedisTrial(rules: [rule], system: "7", slot: "s", command: command, leases: leases)
  }

  private func text(_ bytes: [UInt8]) -> String {
    String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").filter { !"*$".contains($0.first ?? "*") }
      .joined(separator: " ")
  }

  @Test func everyTemplateIsTriedWithAKeyOfItsShape() throws {
    let probes = try trial(["u:{id}:{email|lower}", "[{a}]"]).probes
    #expect(
      probes.map { text($0.bytes) } == [
        "get cdcd:wm:7:s", "set cdcd:rules:7:s", "eval return 0 1 cdcd:wm:7:s", "scan 0",
        "unlink cdcd:l:{u:0:0}", "unlink u:0:0", "unlink cdcd:l:{[0]}", "unlink [0]",
      ])
    #expect(
      probes.map(\.pattern) == [
        "cdcd:*", "cdcd:*", "cdcd:*", nil, "cdcd:*", "u:*:*", "cdcd:*", #"\[*\]"#,
      ])
  }

  @Test func leasesAndCommandAreThoseOfTheFile() throws {
    let probes = try trial(["{id}"], command: .del, leases: false).probes
    #expect(probes.dropFirst(4).map { text($0.bytes) } == ["del 0"])
    #expect(probes.last?.pattern == "*")
  }

  @Test(arguments: [("page:*", "page:0"), ("*:a?", "0:a0"), ("[ab]*", nil), (#"a\**"#, nil), (nil, nil)])
  func messagesAreTriedWithAKeyOfTheirPattern(pattern: String?, key: String?) {
    let rule = Rule(messages: "messages", pattern: pattern)
    let trial = RedisTrial(rules: [rule], system: "7", slot: "s", command: .unlink, leases: true)
    let probes = trial.probes.dropFirst(4)
    #expect(probes.map { text($0.bytes) } == (key.map { ["unlink cdcd:l:{\($0)}", "unlink \($0)"] } ?? []))
    #expect(probes.map(\.pattern) == (key == nil ? [] : ["cdcd:*", pattern]))
  }

  @Test func theRoundTripEndsWhereItBegan() throws {
    let round = try trial(["u:{id}"]).roundTrip(history: "h")
    #expect(text(round).hasPrefix("MULTI unlink cdcd:wm:7:s:check EVAL "))
    #expect(text(round).hasSuffix("GET cdcd:wm:7:s:check unlink cdcd:wm:7:s:check EXEC"))
  }

  @Test func onlyTheAnswersOfOneUndisturbedRedisAreIntact() {
    let intact: [RedisReply] = [
      .integer(0), .bulk([]), .bulk(Array("1".utf8)), .bulk(Array("2".utf8)), .integer(1),
    ]
    #expect(RedisTrial.isIntact(.array(intact)))
    // What a trial before left behind is none of its business.
    #expect(RedisTrial.isIntact(.array([.integer(1)] + intact.dropFirst())))
    for index in 1..<intact.count {
      var replies = intact
      replies[index] = index == 4 ? .integer(0) : .bulk(Array("other history".utf8))
      #expect(!RedisTrial.isIntact(.array(replies)))
    }
    #expect(!RedisTrial.isIntact(.array(Array(intact.dropLast()))))
    #expect(!RedisTrial.isIntact(.null))
  }
}
