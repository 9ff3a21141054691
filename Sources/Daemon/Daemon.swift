import Hummingbird
import ServiceLifecycle
import Yams

/// The running daemon: one event loop on its own thread, and the HTTP server beside it.
package struct Daemon {}
