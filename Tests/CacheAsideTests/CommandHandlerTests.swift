import NIOCore
import NIOEmbedded
import Testing

@testable import CacheAside

/// What a connection does with replies, without a server: servers do not misbehave on demand.
@Suite struct CommandHandlerTests {
  private let channel = EmbeddedChannel()
  private let handler = CommandHandler(timeout: .seconds(1))

  init() throws {
    try channel.pipeline.syncOperations.addHandlers(ByteToMessageHandler(RESPDecoder()), handler)
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 6379)).wait()
  }

  private func send(_ words: String...) -> EventLoopFuture<RESPReply> {
    let reply = channel.eventLoop.makePromise(of: RESPReply.self)
    handler.send(words.map { Array($0.utf8) }, reply: reply)
    return reply.futureResult
  }

  private func receive(_ text: String) throws { _ = try channel.writeInbound(ByteBuffer(string: text)) }

  /// What a command ended with; never waits for what does not come.
  private func outcome(_ reply: EventLoopFuture<RESPReply>) throws -> RESPReply {
    channel.embeddedEventLoop.advanceTime(by: .seconds(2))
    return try reply.wait()
  }

  private func sent() throws -> String? {
    try channel.readOutbound(as: ByteBuffer.self).map { String(buffer: $0) }
  }

  @Test("commands leave at once and replies come back in their order")
  func pipelines() throws {
    let first = send("GET", "größe")
    let second = send("PING")
    #expect(try sent() == "*2\r\n$3\r\nGET\r\n$7\r\ngröße\r\n")
    #expect(try sent() == "*1\r\n$4\r\nPING\r\n")
    try receive("$1\r\n")
    try receive("1\r\n+PO")
    try receive("NG\r\n")
    #expect(try outcome(first) == .bulk([49]))
    #expect(try outcome(second) == .simple("PONG"))
    #expect(channel.isActive)
  }

  @Test("a late reply ends the connection, and with it every command that waits")
  func timesOut() throws {
    let first = send("GET", "a")
    channel.embeddedEventLoop.advanceTime(by: .milliseconds(900))
    let second = send("GET", "b")
    channel.embeddedEventLoop.advanceTime(by: .milliseconds(101))
    #expect(throws: RedisClientError.timedOut) { try outcome(first) }
    #expect(throws: RedisClientError.timedOut) { try outcome(second) }
    #expect(!channel.isActive)
    let third = send("GET", "c")
    #expect(throws: RedisClientError.timedOut) { try outcome(third) }
  }

  @Test("nonsense ends the connection, and says what it was")
  func malformed() throws {
    let reply = send("GET", "a")
    try receive("SSH-2.0-OpenSSH\r\n")
    #expect(throws: RedisClientError.malformedReply(.unknownType(83))) { try outcome(reply) }
    #expect(!channel.isActive)
  }

  @Test("a reply that nobody asked for ends the connection")
  func unasked() throws {
    try receive("+OK\r\n")
    #expect(!channel.isActive)
    let reply = send("GET", "a")
    #expect(throws: RedisClientError.connectionLost) { try outcome(reply) }
  }

  @Test("a connection that is closed in the middle of a reply fails its command")
  func closedMidway() throws {
    let reply = send("GET", "a")
    try receive("$10\r\nabc")
    try channel.close().wait()
    #expect(throws: RedisClientError.connectionLost) { try outcome(reply) }
  }
}
