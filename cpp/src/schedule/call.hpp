// What surrounds the work of a call.
#pragma once

#include <functional>

#include "schedule/tiles.hpp"

namespace digitvae {

// Do `work`, in the default arithmetic, and ask `poll` meanwhile: on this thread, every kPollInterval, in the caller's
// arithmetic. Throws Cancelled if it says stop, and what the work or the poll throws.
//
// Between its tiles the work asks by itself. A model whose runs are not known to be `quick` may be inside one for
// minutes: so then the work is done on another thread, whose Stop this one pulls, and the run ends at its next node.
void run_call(bool quick, const Poll& poll, const std::function<void(const Poll& poll)>& work);

// The same without memory for the function, which short calls would notice.
template <typename Work>
void run_call(bool quick, const Poll& poll, const Work& work) {
  run_call(quick, poll, std::function<void(const Poll& poll)>(std::cref(work)));
}

}  // namespace digitvae
