"""Logs in the forms that Caffe's builds and people's scripts leave."""

OLD = """\
I1231 23:59:58.000000   123 solver.cpp:48] Initializing solver from parameters:
base_lr: 0.01
I1231 23:59:59.500000   123 solver.cpp:289] Solving LeNet
I1231 23:59:59.500000   123 solver.cpp:290] Learning Rate Policy: inv
I1231 23:59:59.600000   123 solver.cpp:347] Iteration 0, Testing net (#0)
I1231 23:59:59.700000   123 solver.cpp:414]     Test net output #0: accuracy = 0.1009
I1231 23:59:59.700000   123 solver.cpp:414]     Test net output #1: loss = 2.3 (* 1 = 2.3 loss)
I1231 23:59:59.800000   123 solver.cpp:347] Iteration 0, Testing net (#1)
I1231 23:59:59.900000   123 solver.cpp:401] Test loss: 2.5
I1231 23:59:59.900000   123 solver.cpp:414]     Test net output #0: loss = 2.5 (* 1 = 2.5 loss)
I0101 00:00:00.500000   123 solver.cpp:239] Iteration 0 (-7.9874e-41 iter/s, 0.02s/100 iters), \
loss = 2.3
I0101 00:00:00.500000   123 solver.cpp:258]     Train net output #0: loss = 2.3 (* 1 = 2.3 loss)
I0101 00:00:00.500000   123 sgd_solver.cpp:112] Iteration 0, lr = 0.01
I0101 00:00:01.500000   123 blocking_queue.cpp:49] Waiting for data
I0101 00:00:02.500000   123 solver.cpp:239] Iteration 100 (50 iter/s, 2s/100 iters), loss = nan
I0101 00:00:02.500000   123 solver.cpp:258]     Train net output #0: loss = -inf (* 1 = -inf loss)
I0101 00:00:02.500000   123 sgd_solver.cpp:50] MultiStep Status: Iteration 100, step = 1
I0101 00:00:02.500000   123 sgd_solver.cpp:112] Iteration 100, lr = 1e-05
I0101 00:00:02.600000   123 solver.cpp:347] Iteration 100, Testing net (#0)
I0101 00:00:02.600000   123 solver.cpp:396] Test interrupted.
"""
"""Caffe 1.0 with the glog of its time, over the turn of a year, two test nets, broken off."""

NEW = OLD.replace("I1231", "I20261231").replace("I0101", "I20270101")
"""The same with glog 0.6."""

BEFORE_1_0 = """\
I0501 10:00:00.000000  1 solver.cpp:228] Iteration 0, loss = 1.5
I0501 10:00:00.000000  1 solver.cpp:244]     Train net output #0: loss = 1.5 (* 1 = 1.5 loss)
I0501 10:00:00.000000  1 sgd_solver.cpp:106] Iteration 0, lr = 0.1
I0501 10:00:10.000000  1 solver.cpp:228] Iteration 10, loss = 1.25
I0501 10:00:10.000000  1 solver.cpp:244]     Train net output #0: loss = 1.25 (* 1 = 1.25 loss)
I0501 10:00:10.000000  1 sgd_solver.cpp:106] Iteration 10, lr = 0.1
"""
"""Without speeds, and without its beginning."""

RESUMED = (
    BEFORE_1_0
    + BEFORE_1_0.replace("Iteration 10", "Iteration 20").replace("Iteration 0", "Iteration 10")
    + "I0501 10:01:00.000000  1 solver.cpp:327] Iteration 30, loss = 0.5\n"
)
"""A run that was killed after iteration 10, and resumed in the same file from an older state."""
