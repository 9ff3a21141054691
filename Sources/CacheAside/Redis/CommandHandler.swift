import NIOCore

/// Sends commands down a channel without waiting for earlier replies, and hands each reply to the command that it
/// belongs to: Redis answers in order. Lives on the channel's event loop.
final class CommandHandler: ChannelInboundHandler {
  typealias InboundIn = RESPReply
  typealias OutboundOut = ByteBuffer

  private struct Waiting {
    var reply: EventLoopPromise<RESPReply>
    var timer: Scheduled<Void>
  }

  private let timeout: TimeAmount
  private var context: ChannelHandlerContext?
  private var waiting = CircularBuffer<Waiting>()
  /// Why the connection ends, once it does.
  private(set) var failure: RedisClientError?

  init(timeout: TimeAmount) { self.timeout = timeout }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { end(.connectionLost) }

  /// Sends one command. The promise is kept in every case: with the reply, or with a `RedisClientError`.
  func send(_ command: [[UInt8]], reply: EventLoopPromise<RESPReply>) {
    guard let context, failure == nil else { return reply.fail(failure ?? .connectionLost) }
    let loopBound = NIOLoopBound(self, eventLoop: context.eventLoop)
    let timer = context.eventLoop.scheduleTask(in: timeout) { loopBound.value.end(.timedOut) }
    waiting.append(Waiting(reply: reply, timer: timer))
    context.writeAndFlush(wrapOutboundOut(Self.encode(command, context.channel.allocator)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // A reply that nobody asked for leaves in doubt whose every later one would be.
    guard let first = waiting.popFirst() else { return end(.connectionLost) }
    first.timer.cancel()
    first.reply.succeed(unwrapInboundIn(data))
  }

  func channelInactive(context: ChannelHandlerContext) {
    end(.connectionLost)
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { end(RedisClientError(error)) }

  /// Fails whatever waits, and closes.
  private func end(_ reason: RedisClientError) {
    guard failure == nil else { return }
    failure = reason
    while let next = waiting.popFirst() {
      next.timer.cancel()
      next.reply.fail(reason)
    }
    context?.close(promise: nil)
    context = nil
  }

  /// Source: Redis serialization protocol specification, "Sending commands to a Redis server".
  private static func encode(_ command: [[UInt8]], _ allocator: ByteBufferAllocator) -> ByteBuffer {
    let size = command.reduce(16) { $0 + $1.count + 16 }
    var buffer = allocator.buffer(capacity: size)
    buffer.writeString("*\(command.count)\r\n")
    for word in command {
      buffer.writeString("$\(word.count)\r\n")
      buffer.writeBytes(word)
      buffer.writeString("\r\n")
    }
    return buffer
  }
}
