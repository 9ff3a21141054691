import Invalidation
import Testing

/// The model Redis, held against what Redis 7.0 does.
struct ModelRedisTests {
  private static let script =
    "local v=redis.call('GET',KEYS[1]) or ''; if v==ARGV[1] then redis.call('SET',KEYS[1],ARGV[2]) end; return v"

  private let world: World
  private let connection: RedisConnection

  init() {
    var options = WorldOptions()
    options.readers = 0
    world = World(seed: 1, options: options)
    connection = RedisConnection(world: world, instance: world.instances[0])
  }

  private func run(_ words: String...) -> RedisReply {
    world.redis.process(words.map { Array($0.utf8) }, on: connection)
  }

  private func isError(_ reply: RedisReply, _ prefix: String) -> Bool {
    if case .error(let bytes) = reply {
      String(decoding: bytes, as: UTF8.self).hasPrefix(prefix)
    } else {
      false
    }
  }

  private let queued = RedisReply.status(Array("QUEUED".utf8))
  private let ok = RedisReply.status(Array("OK".utf8))

  @Test func commandsArriveInFragments() throws {
    let bytes = Array("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n".utf8)
    for cut in 0...bytes.count {
      var parser = RESPParser()
      var commands: [[[UInt8]]] = []
      for part in [bytes[..<cut], bytes[cut...]] {
        parser.append(part)
        while let command = try parser.next() { commands.append(command) }
      }
      #expect(commands == [[Array("GET".utf8), Array("k".utf8)], [Array("PING".utf8)]])
      #expect(!parser.isMidway)
    }
  }

  @Test func nonsenseIsNotResp() {
    var parser = RESPParser()
    parser.append(Array("+OK\r\n".utf8))
    #expect(throws: RESPParser.Failure.self) { _ = try parser.next() }
  }

  @Test func globsMatchAsRedisDoes() {
    func matches(_ pattern: String, _ text: String) -> Bool {
      Glob.matches(Array(pattern.utf8), Array(text.utf8))
    }
    #expect(matches("user:*", "user:1") && !matches("user:*", "users:1"))
    #expect(matches("order\\[v1\\]:*", "order[v1]:7") && !matches("order\\[v1\\]:*", "orderv:7"))
    #expect(matches("order[v1]:*", "orderv:7"))
    #expect(matches("a?c*e", "abcde") && !matches("a?c", "ac"))
    #expect(matches("h[a-c]t", "hbt") && matches("h[^a]t", "hbt") && !matches("h[^b]t", "hbt"))
    #expect(matches("a\\*", "a*") && !matches("a\\*", "ab"))
  }

  @Test func compareAndSetWritesOnlyOnAMatch() {
    #expect(run("EVAL", Self.script, "1", "cdcd:wm:x", "", "one") == .bulk([]))
    #expect(run("GET", "cdcd:wm:x") == .bulk(Array("one".utf8)))
    #expect(run("EVAL", Self.script, "1", "cdcd:wm:x", "", "two") == .bulk(Array("one".utf8)))
    #expect(run("GET", "cdcd:wm:x") == .bulk(Array("one".utf8)))
  }

  @Test func transactionsAreQueuedAndAtomic() {
    world.redis.data.set("user:1", .cached(Snapshot(tick: 1)))
    #expect(run("MULTI") == ok)
    #expect(run("UNLINK", "user:1") == queued)
    #expect(world.redis.data["user:1"] != nil)
    #expect(run("EXEC") == .array([.integer(1)]))
    #expect(world.redis.data["user:1"] == nil)
    #expect(isError(run("EXEC"), "ERR EXEC without MULTI"))
  }

  @Test func outOfMemoryRefusesDeletesInsideMultiOnly() {
    world.redis.trouble(.oom, perMille: 1_000, for: Time.second)
    world.redis.data.set("user:1", .cached(Snapshot(tick: 1)))
    #expect(run("MULTI") == ok)
    #expect(isError(run("UNLINK", "user:1"), "OOM"))
    #expect(isError(run("EXEC"), "EXECABORT"))
    #expect(run("UNLINK", "user:1") == .integer(1))
    #expect(isError(run("EVAL", Self.script, "1", "cdcd:wm:x", "", "one"), "OOM"))
  }

  @Test func aReadOnlyServerRefusesAtQueueTime() {
    world.redis.trouble(.readonly, perMille: 1_000, for: Time.second)
    #expect(run("MULTI") == ok)
    #expect(isError(run("UNLINK", "user:1"), "READONLY"))
    #expect(isError(run("EXEC"), "EXECABORT"))
    #expect(isError(run("EVAL", Self.script, "1", "cdcd:wm:x", "", "one"), "READONLY"))
    guard case .bulk(let info) = run("INFO", "replication") else { return #expect(Bool(false)) }
    #expect(String(decoding: info, as: UTF8.self).contains("role:slave"))
  }

  @Test func scanReturnsWhatWasThereAllAlong() {
    for id in 0..<40 { world.redis.data.set("user:\(id)", .cached(Snapshot(tick: 1))) }
    var cursor = "0"
    var found: [String] = []
    var pages = 0
    repeat {
      guard case .array(let parts) = run("SCAN", cursor, "MATCH", "user:*", "COUNT", "10"), parts.count == 2,
        case .bulk(let next) = parts[0], case .array(let keys) = parts[1]
      else { return #expect(Bool(false), "not a SCAN reply") }
      cursor = String(decoding: next, as: UTF8.self)
      for case .bulk(let key) in keys { found.append(String(decoding: key, as: UTF8.self)) }
      world.redis.data.set("user:young\(pages)", .cached(Snapshot(tick: 1)))
      pages += 1
    } while cursor != "0"
    #expect(pages > 3)
    #expect(found == (0..<40).map { "user:\($0)" })
  }

  @Test func aLeaseThatWasDeletedRefusesTheFill() {
    let redis = world.redis
    #expect(redis.get("user:1", token: 7, lease: Time.second) != nil)
    #expect(run("DEL", "cdcd:l:{user:1}", "user:1") == .integer(1))
    #expect(!redis.fill("user:1", token: 7, snapshot: Snapshot(tick: world.nextTick())))
    #expect(KeyMapping.lease("cart:{1}") == "cdcd:l:cart:{1}")
    #expect(
      KeyMapping.leased("cdcd:l:{user:1}") == "user:1" && KeyMapping.leased("cdcd:l:cart:{1}") == "cart:{1}")
  }

  @Test func unknownCommandsAreFailures() {
    #expect(isError(run("FLUSHDB"), "ERR unknown command"))
    #expect(world.violation != nil)
  }
}
