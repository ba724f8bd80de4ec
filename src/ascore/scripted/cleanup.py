"""Cleanup: everybody waits for apples, or some clean for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ascore.envs import VecEnv
from ascore.scripted.board import *
from ascore.scripted.board import Sight, look
from ascore.scripted.harvest import share

# [cleaners, steps in which all clean first, steps in which all harvest at the end]
class Tune: pass
tune=Tune(); tune.c=1; tune.start=20; tune.end=15; tune.thr=None; tune.wait=True


def rays(board, length):
    """cells of a ray from each cell (inclusive) in each direction [length, M*4]; M= ended"""
    m=len(board.cells)
    nxt=np.where(board.next==np.arange(m)[:,None],m,board.next)
    nxt=np.concatenate([nxt,np.full((1,4),m)])
    out=[np.repeat(np.arange(m)[:,None],4,1)]
    for k in range(length-1):
        out.append(np.stack([nxt[out[-1][:,d],d] for d in range(4)],1))
    return nxt,[o.ravel() for o in out]

def beams(board, length, features):
    nxt,cells=rays(board,length)
    m=len(board.cells); d=np.arange(4)
    def lane(start): # [M,4] -> index into M*4 (+ sentinel)
        return np.where(start<m,start*4+d,4*m).ravel()
    r=np.stack([nxt[:m,(k+1)%4] for k in d],1); l=np.stack([nxt[:m,(k-1)%4] for k in d],1)
    f=np.repeat(np.arange(m)[:,None],4,1) if features else nxt[:m]
    return cells,[lane(x) for x in(f,r,l)]
_c={}
def cooperative(env):
    s=look(env); bd=s.board; B,N=s.agents.shape; m=len(bd.cells)
    feat=env.params["profile"]=="features"
    key=(id(bd),feat,env.params["beam_length"])
    if key not in _c: _c[key]=beams(bd,env.params["beam_length"]+feat,feat)
    cells,lanes=_c[key]
    t=int(env.time[0]); T=env.spec.horizon
    cleaners=N if t<tune.start else (0 if t>=T-tune.end else tune.c)
    ev=np.arange(B)
    actions=np.full((B,N),4)
    waste=np.concatenate([s.waste,np.zeros((1,B),bool)])
    dist=bd.distance
    for i in range(cleaners):
        ray=waste[cells[0]].astype(np.int8)
        for c in cells[1:]:
            if feat: ray+=waste[c]
            else: ray|=waste[c]
        ray=np.concatenate([ray,np.zeros((1,B),np.int8)])
        n=ray[lanes[0]]+ray[lanes[1]]+ray[lanes[2]]  # [4M,B]
        turn=np.array([0,1,2,1],np.float32)[(np.arange(4)[:,None]-s.orientation[:,i])%4] #[4,B]
        way=dist[s.agents[:,i]].T.astype(np.float32) #[M,B]
        cost=(way[:,None]+turn[None]+tune.plus).reshape(4*m,B)
        score=n/cost
        best=score.argmax(0); cell,o=np.divmod(best,4)
        any_=n[best,ev]>0
        here=s.agents[:,i]
        go=any_&(cell!=here)
        nb=bd.next[here]
        nd=dist[nb,cell[:,None]].astype(float)
        for j in range(N):
            if j!=i: nd+=1.5*(nb==s.agents[:,j,None])
        nd+=50*(nb==here[:,None])
        dr=nd.argmin(1)
        mv=s.move(np.repeat(dr[:,None],N,1))[:,i]
        rel=(o-s.orientation[:,i])%4
        a=np.where(go,mv,np.where(rel==0,7,np.where(rel==3,6,5)))
        # turn while ... first move then turn
        actions[:,i]=np.where(any_,a,4)
        # remove wastes claimed
        if i+1<cleaners:
            for ln in lanes:
                k=ln[best]
                alive=np.where(any_,k,4*m)
                hit=np.zeros(B,bool)
                for c in cells:
                    cc=np.append(c,m)[alive]
                    w=waste[cc,ev]
                    if not feat: w&=~hit
                    hit|=w
                    waste[cc,ev]&=~w
    if cleaners<N:
        sub=Sight(bd,s.apples,s.waste,s.agents[:,cleaners:],s.orientation[:,cleaners:],s.egocentric)
        kern=np.minimum(tune.g**np.minimum(dist,60).astype(np.float32),1)
        dens=kern@s.apples.astype(np.float32)
        act=share(sub,s.apples,-tune.dens*dens)
        if tune.wait:
            orch=np.flatnonzero(bd.orchard)
            centre=orch[dist[np.ix_(orch,orch)].astype(int).sum(0).argmin()]
            g=np.zeros((m,B),bool); g[centre]=True
            act2=np.full_like(act,4)
            D=dist[:,centre]
            for i in range(N-cleaners):
                nb=bd.next[sub.agents[:,i]]
                nd=D[nb]+50*(nb==sub.agents[:,i,None])
                dr=nd.argmin(1)
                mv=sub.move(np.repeat(dr[:,None],N-cleaners,1))[:,i]
                act2[:,i]=np.where(D[sub.agents[:,i]]>0,mv,4)
            few=s.apples.sum(0)[:,None]<N-cleaners
            act=np.where((act==4),act2,act)
        actions[:,cleaners:]=act
    return actions.astype(np.int32)
tune.plus=1.
tune.g=.5; tune.dens=0.
