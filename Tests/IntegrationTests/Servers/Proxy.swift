import Foundation

/// What stands between cdcd and PostgreSQL, on a free loopback port.
final class Proxy {
  let port: Int
  private let process: ServerProcess

  /// PgBouncer, which gives each transaction some connection to the server.
  static func pooler(to server: PostgresServer, in folder: TemporaryFolder) throws -> Proxy {
    let port = try LoopbackConnection.freePort()
    let file = try folder.write(
      """
      [databases]
      postgres = host=127.0.0.1 port=\(server.port) user=postgres
      [pgbouncer]
      listen_addr = 127.0.0.1
      listen_port = \(port)
      auth_type = any
      pool_mode = transaction
      unix_socket_dir =
      """, to: "pgbouncer.ini")
    return try Proxy(port, ["/usr/sbin/pgbouncer", file], in: folder, user: PostgresServer.user)
  }

  /// An address behind which servers take turns: every other connection reaches the same.
  static func balancer(over servers: [PostgresServer], in folder: TemporaryFolder) throws -> Proxy {
    let port = try LoopbackConnection.freePort()
    let program = """
      import asyncio, itertools
      ports = itertools.cycle(\(servers.map(\.port)))
      async def copy(source, target):
          while data := await source.read(65536):
              target.write(data)
              await target.drain()
          target.close()
      async def serve(reader, writer):
          server = await asyncio.open_connection("127.0.0.1", next(ports))
          await asyncio.gather(copy(reader, server[1]), copy(server[0], writer), return_exceptions=True)
      async def main():
          await (await asyncio.start_server(serve, "127.0.0.1", \(port))).serve_forever()
      asyncio.run(main())
      """
    return try Proxy(port, ["/usr/bin/python3", "-c", program], in: folder, user: nil)
  }

  private init(_ port: Int, _ command: [String], in folder: TemporaryFolder, user: String?) throws {
    self.port = port
    let process = try ServerProcess(command, log: folder.file("proxy.log"), user: user)
    self.process = process
    try eventually("the proxy passes connections on") {
      guard process.isRunning else { throw TimedOut(description: try process.output) }
      return try PostgresClient(port: port, timeout: .seconds(2)).value("SELECT 1") == "1"
    }
  }
}
