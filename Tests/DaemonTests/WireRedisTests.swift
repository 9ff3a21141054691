import Foundation
import Glibc
import Testing

@testable import Daemon
@testable import RedisSink

@Suite struct WireRedisTests {
  @Test func aCommandIsAnArrayOfBulkStrings() {
    #expect(
      String(decoding: respCommand(["SELECT", "é"]), as: UTF8.self) == "*2\r\n$6\r\nSELECT\r\n$2\r\né\r\n")
  }

  @Test func onlyWhatIsNeededIsSentFirst() {
    let plain = RedisAddress(endpoint: .unix(path: "/s"))
    #expect(Introduction.steps(for: plain) == [.name])
    let full = RedisAddress(
      endpoint: .tcp(host: "h", port: 1), username: "u", password: "geheim", database: 2)
    #expect(Introduction.steps(for: full) == [.login, .select, .name])
    #expect(Introduction.login.command(full) == respCommand(["AUTH", "u", "geheim"]))
  }

  @Test func aRefusedLoginDoesNotRepeatThePassword() {
    let address = RedisAddress(endpoint: .unix(path: "/s"), password: "geheim", database: 9)
    let echo = Array("ERR unknown command `AUTH`, with args beginning with: `geheim`".utf8)
    let failure = Introduction.login.failure(echo, address)
    #expect(failure?.message.contains("geheim") == false)
    #expect(failure?.message.contains("ERR") == true)
    #expect(Introduction.select.failure(Array("ERR DB index is out of range".utf8), address) != nil)
    #expect(Introduction.name.failure(Array("ERR no".utf8), address) == nil)
  }

  @Test func aServerThatIsNotThereFailsAtOnce() {
    let missing = RedisAddress(endpoint: .unix(path: "/nonexistent/redis.sock"))
    #expect(throws: RedisFailure.self) { try RedisConnection(missing, now: 0) }
    let refused = RedisAddress(endpoint: .tcp(host: "127.0.0.1", port: 1))
    #expect(throws: RedisFailure.self) {
      // Whether the kernel refuses at once or at the first look is its choice.
      let connection = try RedisConnection(refused, now: 0)
      let end = Date().addingTimeInterval(5)
      while Date() < end { _ = try connection.advance() }
    }
  }

  @Test(arguments: ["127.0.0.1", "::1"]) func aNumericAddressNeedsNoResolution(host: String) throws {
    #expect(try NameResolution.needed(for: host, now: 0) == nil)
  }

  @Test func aNameIsResolvedBesideTheLoop() async throws {
    let resolution = try #require(try NameResolution.needed(for: "localhost", now: 0))
    var descriptor = pollfd(fd: resolution.fileDescriptor, events: Int16(POLLIN), revents: 0)
    #expect(unsafe poll(&descriptor, 1, 10_000) == 1)
    let host = try #require(try resolution.outcome())
    #expect(["127.0.0.1", "::1"].contains(host))
  }

  @Test func aNameThatDoesNotExistIsNamed() throws {
    let resolution = try #require(try NameResolution.needed(for: "redis.invalid", now: 0))
    var descriptor = pollfd(fd: resolution.fileDescriptor, events: Int16(POLLIN), revents: 0)
    #expect(unsafe poll(&descriptor, 1, 30_000) == 1)
    let failure = #expect(throws: NameResolution.Failure.self) { try resolution.outcome() }
    #expect(failure?.message.hasPrefix("the name redis.invalid cannot be resolved: ") == true)
  }
}
