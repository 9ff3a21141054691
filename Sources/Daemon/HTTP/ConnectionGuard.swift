import NIOCore
import NIOHTTPTypes

/// Stands in every HTTP connection: it closes those that send more than a request needs, and tells a request
/// that waits when its client has gone away.
final class ConnectionGuard: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart

  /// No path of ours reads a body.
  private static let maximumBodyBytes = 4_096

  private var bodyBytes = 0
  private var clientHasLeft = false
  private var onLeave: (() -> Void)?

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head: bodyBytes = 0
    case .body(let buffer): bodyBytes += buffer.readableBytes
    case .end: break
    }
    if bodyBytes > ConnectionGuard.maximumBodyBytes {
      context.close(promise: nil)
    } else {
      context.fireChannelRead(data)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event as? ChannelEvent == .inputClosed { leave() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    leave()
    context.fireChannelInactive()
  }

  private func leave() {
    clientHasLeft = true
    onLeave?()
    onLeave = nil
  }

  /// Runs the operation in a task that is cancelled when the client closes the connection.
  static func whileConnected<Value: Sendable>(
    _ channel: any Channel, _ operation: @escaping @Sendable () async -> Value
  ) async -> Value {
    let task = Task { await operation() }
    channel.eventLoop.execute {
      do {
        let connection = try channel.pipeline.syncOperations.handler(type: ConnectionGuard.self)
        if connection.clientHasLeft { task.cancel() } else { connection.onLeave = { task.cancel() } }
      } catch {
        // The pipeline of a closed channel is empty.
        task.cancel()
      }
    }
    return await withTaskCancellationHandler {
      await task.value
    } onCancel: {
      task.cancel()
    }
  }
}
